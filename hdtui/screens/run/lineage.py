"""The tab Lineage: what a run was made from, what was made from it, and what is stale."""

from collections.abc import Iterator, Mapping, Sequence

from textual.app import ComposeResult

from hdtui import formatting
from hdtui.data.cockpit import now
from hdtui.data.run_details import Relatives, read_lineage
from hdtui.data.run_states import RunView
from hdtui.messages import OpenRun
from hdtui.screens.run.tab import RunTab
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets import lines
from hdtui.widgets import table as tables
from hdtui.widgets.pane import Pane
from hdtui.widgets.run_cells import headline_text

RESULT_CELLS = 14
COLUMNS = (
    tables.Column("tree", "", 34, grow=True, gap=1),
    tables.Column("state", "state", 13, gap=1),
    tables.Column("result", "result", RESULT_CELLS, right=True),
    tables.Column("from", "from", 12, gap=0, leaves_first=1, middle=True),
)


class LineageTab(RunTab):
    """A row per relative, below the last of what it was made from."""

    def __init__(self, shell: CockpitScreen, run_id: int) -> None:
        super().__init__(shell, run_id)
        self.table = tables.Table(COLUMNS, empty="reading")
        self.words = lines.Lines([()])

    def compose(self) -> ComposeResult:
        yield Pane("Lineage", self.table, widget_id="lineage-pane")
        yield self.words

    def read(self) -> None:
        run_id = self.run_id
        self.shell.ask(lambda database: read_lineage(database, run_id, now()), self._show)

    def _show(self, facts: Relatives) -> None:
        first = not self.table.keys
        tree = lineage_tree(facts)
        self.table.set_rows(
            [run_id for run_id, _ in tree],
            lambda index: self._row(facts.by_id[tree[index][0]], tree[index][1]),
        )
        if first:
            self.table.move_to(self.run_id)
        stale = [each.run for each in facts.by_id.values() if each.run.stale]
        sentences = [
            f"{run.id} is stale: an input has worked again since {run.id} read it" for run in stale
        ]
        self.words.show([(lines.Span(f"  {'. '.join(sentences)}", "warn"),)])
        above, below = len(facts.ancestors), len(facts.descendants)
        pane = self.query_one("#lineage-pane", Pane)
        pane.set_rule(facts=f"made from {above}, {below} made from it")

    def _row(self, each: RunView, branch: str) -> tables.TableRow:
        run = each.run
        here = run.id == self.run_id
        name = f"{run.id} {run.kind}{' (here)' if here else ''}"
        sources = " ".join(str(i) for i in run.inputs) or " ".join(run.robot_sets)
        tree: lines.Line = (
            lines.Span(branch, "muted"),
            lines.Span(name, "accent bold" if here else "text"),
        )
        state: lines.Line = (lines.Span(f"{each.glyph} ", each.role), lines.Span(each.shown))
        if run.stale:
            state = (lines.Span(f"{each.glyph} ", each.role), lines.Span("stale", "warn"))
        return tables.TableRow(
            cells=(
                tree,
                state,
                (lines.Span(formatting.shorten(headline_text(run), RESULT_CELLS)),),
                (lines.Span(formatting.printable(sources), "muted"),),
            )
        )

    def footer(self) -> str:
        return "enter"

    def take_focus(self) -> None:
        self.table.focus()

    def on_table_chosen(self, message: tables.Table.Chosen) -> None:
        message.stop()
        if isinstance(message.key, int) and message.key != self.run_id:
            self.app.post_message(OpenRun(message.key))


def lineage_tree(facts: Relatives) -> list[tuple[int, str]]:
    """Runs and the branches before them, each below the last of its inputs that was made."""
    depths: dict[int, int] = {}
    children: dict[int | None, list[int]] = {}
    for run_id in sorted(facts.by_id):
        known = [i for i in facts.by_id[run_id].run.inputs if i in depths]
        depths[run_id] = max((depths[i] + 1 for i in known), default=0)
        parent = max(known, key=lambda i: (depths[i], i), default=None)
        children.setdefault(parent, []).append(run_id)
    return [row for root in children.get(None, []) for row in _branches(root, children, "", "")]


def _branches(
    run_id: int, children: Mapping[int | None, Sequence[int]], branch: str, below: str
) -> Iterator[tuple[int, str]]:
    yield run_id, branch
    own = children.get(run_id, ())
    for place, child in enumerate(own):
        last = place == len(own) - 1
        yield from _branches(
            child,
            children,
            f"{below}{'└─ ' if last else '├─ '}",
            below + ("   " if last else "│  "),
        )
