"""A partial update sends its spans alone, and the terminal shows what it would show anyway."""

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from hdtui.terminal.partial_update import ChangedCells
from hdtui.widgets.lines import Span, changed_cells

WIDTH, CUT = 20, 8
ROWS = st.lists(st.text("ab⣿ ", min_size=WIDTH, max_size=WIDTH), min_size=3, max_size=3)
SPANS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, WIDTH - 1), st.integers(1, WIDTH)), min_size=1
)


def _strip(text: str) -> Strip:
    half = len(text) // 2
    styles = (Style.parse("cyan"), Style.parse("dim"))
    return Strip([Segment(text[:half], styles[0]), Segment(text[half:], styles[1])], len(text))


@settings(deadline=None)
@given(ROWS, ROWS, SPANS)
def test_only_the_cells_of_the_spans_change(
    old: list[str], new: list[str], wanted: list[tuple[int, int, int]]
) -> None:
    spans = sorted((row, start, max(start + 1, end)) for row, start, end in wanted)
    chops = [{0: _strip(text[:CUT]), CUT: _strip(text[CUT:])} for text in new]
    update = ChopsUpdate(chops, spans, [[CUT, WIDTH]] * 3)
    terminal = pyte.Screen(WIDTH + 1, 3)
    stream = pyte.Stream(terminal)
    stream.feed("\r\n".join(old))
    sent = ChangedCells.of(update).render_segments(Console(color_system="standard"))
    stream.feed(sent)
    expected = [list(text) for text in old]
    for row, start, end in spans:
        expected[row][start:end] = new[row][start:end]
    assert [line[:WIDTH] for line in terminal.display] == ["".join(row) for row in expected]
    assert "\n" not in sent


def test_a_wide_letter_is_never_cut_in_half() -> None:
    assert changed_cells((Span("ab "),), (Span("a世"),)) == (1, 3)
    assert changed_cells((Span("世 b"),), (Span("世 c"),)) == (3, 4)
