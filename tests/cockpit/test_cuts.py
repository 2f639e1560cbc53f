"""What does not fit says so, and a list shows what came above its cursor."""

from collections.abc import Sequence

from textual.app import App, ComposeResult

from hdtui.widgets.lines import ELLIPSIS, Span, fit, left_and_right
from hdtui.widgets.table import Column, Table, TableRow, cell_line


def words(spans: Sequence[Span]) -> str:
    """The text of a line."""
    return "".join(span.text for span in spans)


def test_a_cut_line_ends_in_an_ellipsis_and_an_uncut_one_does_not() -> None:
    line = (Span("taken over from "), Span("policy   "))
    assert words(fit(line, 14, ELLIPSIS)) == "taken over fr…"
    assert words(fit(line, 22, ELLIPSIS)) == "taken over from policy"
    assert words(fit(line, 1, ELLIPSIS)) == "…"
    assert words(left_and_right(line, (Span("9"),), 12)) == "taken over…9"


def test_a_number_is_whole_or_not_there() -> None:
    column = Column("difference", "", 19, right=True)
    interval = (Span("-1 039 [-1 271, -801]"),)
    assert words(cell_line(interval, column, 21)) == "-1 039 [-1 271, -801]"
    assert words(cell_line(interval, column, 19)) == "…".rjust(19)
    assert words(cell_line((Span("baseline"),), column, 5)) == "base…"


def test_robots_that_differ_at_their_ends_are_told_apart() -> None:
    column = Column("robot", "", 27, middle=True)
    names = [f"floor-1409-0-12-01-12-30-07-m{mutant}-036946" for mutant in (5, 7)]
    drawn = [words(cell_line((Span(name),), column, 27)) for name in names]
    assert drawn[0] != drawn[1]
    assert all(each.startswith("floor-1409") and each.endswith("-036946") for each in drawn)


class Listing(App[None]):
    """A list without a heading, four rows high."""

    def compose(self) -> ComposeResult:
        self.table = Table((Column("text", "", 40, grow=True),), header=False)
        self.table.styles.height = 4
        yield self.table
        self.other = Table((Column("text", "", 40, grow=True),), header=False)
        yield self.other

    def show(self, newest: int) -> None:
        """Events from the newest one down."""
        keys = list(range(newest, 0, -1))
        self.table.set_rows(keys, lambda index: TableRow(((Span(f"event {keys[index]}"),),)))

    def rows(self) -> list[str]:
        """What the list shows."""
        return [words(line) for line in self.table._drawn]


async def test_a_focused_list_at_its_top_goes_on_showing_what_is_new() -> None:
    app = Listing()
    async with app.run_test(size=(40, 12)) as pilot:
        app.show(10)
        app.table.focus()
        await pilot.pause()
        for newest in range(11, 20):
            app.show(newest)
            assert f"event {newest}" in app.rows()[0]
            if newest < 14:  # the row under the cursor is acted on: it stays while there is room
                assert app.table.cursor_key == 10
        app.other.focus()
        await pilot.pause()
        app.show(20)
        assert app.table.cursor_key == 20


async def test_a_list_held_below_its_top_says_how_many_rows_came_above() -> None:
    app = Listing()
    async with app.run_test(size=(40, 12)) as pilot:
        app.show(10)
        app.table.focus()
        await pilot.press("pagedown", "pagedown")
        held = app.table.cursor_key
        app.show(11)
        app.show(13)
        assert app.table.cursor_key == held
        assert app.rows()[0].endswith("3 newer above ")
        await pilot.press("home")
        assert "newer" not in app.rows()[0]
