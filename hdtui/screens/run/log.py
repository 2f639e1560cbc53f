"""The tab Log: the end of log.txt as it grows, searched and by level."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from hdtui import formatting
from hdtui.data import logs
from hdtui.screens.keys import next_of
from hdtui.screens.run.tab import FilteredTab
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.filter_row import FilterRow
from hdtui.widgets.lines import Line, Span
from hdtui.widgets.pane import Pane
from hdtui.widgets.table import Column, Table, TableRow

_MATCHES = Binding.Group(", .")
_ROLES = {0: "muted", 1: "text", 2: "warn", 3: "bad"}


class LogTab(FilteredTab):
    """Lines of the log; follows the end until the cursor leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f,space", "follow", "follow", tooltip="follow the end, or hold"),
        Binding("slash", "find", "search", tooltip="search"),
        Binding("comma", "match(-1)", tooltip="previous", group=_MATCHES),
        Binding("full_stop", "match(1)", "match", tooltip="next match", group=_MATCHES),
        Binding("v", "level", "level", tooltip="all levels, or from one on"),
        Binding("y", "copy", "copy line", tooltip="copy the line"),
    ]

    def __init__(self, shell: CockpitScreen, run_id: int) -> None:
        columns = (Column("text", "", 20, grow=True, gap=0),)
        super().__init__(shell, run_id, Table(columns, header=False, empty="reading"), "search")
        self.tail = logs.LogTail(self.cockpit.home / "runs" / str(run_id) / "log.txt")
        self.following = True
        self.last_line = 0
        self.passed = 0
        self.level = "all"
        self.searched = ""
        self.shown: list[logs.LogLine] = []

    def compose(self) -> ComposeResult:
        yield Pane("log.txt", self.table, widget_id="log-pane")
        yield self.filter_row

    def read(self) -> None:
        tail, wanted, level = self.tail, self.searched, self.level
        tail.keeps = not self.following

        def look() -> tuple[int, bool | None]:
            """How many lines came, and whether older ones match where that was asked."""
            num_new = tail.read()
            return num_new, tail.find_older(wanted, level) if wanted else None

        self.shell.look(look, self._show_news)

    def _show_news(self, news: tuple[int, bool | None]) -> None:
        num_read, found = news
        known, self.last_line = self.last_line, self.tail.end
        num_new = num_read if known else 0
        self.passed = num_new if num_new > self.table.num_visible else 0
        self.show_again()
        if found is not None and self.searched:
            self._show_found(found)

    def _show_found(self, found: bool) -> None:
        """Go to what the search found in older lines, or say how far it looked."""
        self.searched = ""
        if not found:
            self._say_no_match()
            return
        self.table.cursor = len(self.shown) - 1
        self.action_match(-1)
        back = formatting.size(self.tail.end - self.tail.start)
        whole = formatting.size(self.tail.size)
        self.shell.say(f"found in older lines: the last {back} of {whole} are read")

    def _say_no_match(self) -> None:
        level = "" if self.level == "all" else f" of {self.level} and above"
        whole = f"all {formatting.size(self.tail.size)} of the log were searched"
        self.shell.say(f'no line{level} matches "{self.filter_row.text}": {whole}')

    def show_again(self) -> None:
        self.shown = logs.of_level(self.tail.lines, self.level)
        first = self.tail.start
        shown = self.shown
        self.table.set_rows(
            [(first, index) for index in range(len(shown))],
            lambda index: self._row(shown[index]),
            empty=self._empty_sentence(),
        )
        if self.following and shown:
            self.table.cursor = len(shown) - 1
            self.table.redraw()
        self._show_words()

    def _row(self, line: logs.LogLine) -> TableRow:
        wanted = self.filter_row.text
        return TableRow(cells=(_marked(line, wanted),))

    def _show_words(self) -> None:
        matches = self._matches()
        if self.filter_row.text:
            place = sum(1 for match in matches if match <= self.table.cursor)
            read = f" in the last {formatting.size(self.tail.end - self.tail.start)}"
            more = read if self.tail.start > 0 else ""
            self.filter_row.set_facts(f"{place} of {len(matches)} matches{more}")
        else:
            self.filter_row.set_facts("")
        levels = "all levels" if self.level == "all" else f"{self.level} and above"
        more = "+" if self.tail.start > 0 else ""
        pane = self.query_one("#log-pane", Pane)
        size = formatting.size(self.tail.size)
        pane.set_rule(
            f"log.txt · {formatting.grouped(len(self.tail.lines))}{more} lines · {size}",
            f"{self._pace()} · {levels}",
        )

    def _pace(self) -> str:
        """Whether the end is followed, and how many lines came faster than they can be shown."""
        if not self.following:
            return "held, f follows"
        return f"{formatting.grouped(self.passed)} lines passed" if self.passed else "following"

    def _empty_sentence(self) -> str:
        if self.tail.missing and self.view is not None and self.view.run.started_at is not None:
            return f"log.txt is missing: {self.tail.path}."
        return "The log is empty; lines appear here as the worker writes them."

    def _matches(self) -> list[int]:
        return logs.matching(self.shown, self.filter_row.text)

    def caption(self) -> str:
        return "following" if self.following else "held"

    def footer(self) -> str:
        return "f slash full_stop v y pageup"

    def on_table_moved(self, message: Table.Moved) -> None:
        """Leaving the last line stops following; the first line fetches older ones."""
        message.stop()
        at_end = self.table.cursor == len(self.shown) - 1
        if self.following != at_end and self.shown:
            self.following = at_end
            self.reread()
        if self.table.cursor == 0 and self.tail.start > 0:
            before = len(self.tail.lines)
            if self.tail.read_older():
                self.table.cursor += len(self.tail.lines) - before
                self.show_again()
        self._show_words()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        message.stop()
        self.action_copy()

    def on_filter_row_changed(self, message: FilterRow.Changed) -> None:
        message.stop()
        self.table.redraw()
        self._show_words()
        if message.final:
            self.table.focus()
            if message.text:
                self.action_match(-1)

    def action_follow(self) -> None:
        self.following = not self.following
        self.show_again()
        self.reread()

    def action_match(self, step: int) -> None:
        matches = self._matches()
        if not matches:
            self._search_older()
            return
        cursor = self.table.cursor
        later = [match for match in matches if (match > cursor if step > 0 else match < cursor)]
        target = (later[0] if step > 0 else later[-1]) if later else matches[0 if step > 0 else -1]
        self.following = False
        self.table.move_to(self.table.keys[target])
        self._show_words()

    def _search_older(self) -> None:
        """Nothing that was read matches: look in what lies before it, in a thread."""
        if not self.filter_row.text:
            self.shell.say("/ searches")
        elif self.tail.start <= 0:
            self._say_no_match()
        else:
            self.searched = self.filter_row.text
            self.following = False
            self.shell.say("nothing in the lines read so far; searching older ones")
            self.reread()

    def action_level(self) -> None:
        self.level = next_of(logs.LEVELS, self.level)
        self.show_again()

    def action_copy(self) -> None:
        if 0 <= self.table.cursor < len(self.shown):
            self.app.copy_to_clipboard(self.shown[self.table.cursor].text)
            self.shell.say("line copied")


def _marked(line: logs.LogLine, wanted: str) -> Line:
    """The line, with what was searched for reversed."""
    role = _ROLES[line.level]
    place = line.text.casefold().find(wanted.casefold()) if wanted else -1
    if place < 0:
        return (Span(line.text, role),)
    end = place + len(wanted)
    return (
        Span(line.text[:place], role),
        Span(line.text[place:end], f"{role} reverse"),
        Span(line.text[end:], role),
    )
