"""The tab Files: checkpoints and artifacts with size and SHA-256, checked on request."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from hdtui.formatting import moment, printable, size, steps
from hdtui.messages import Answer
from hdtui.screens.run_tab import RunTab
from hdtui.services.cockpit import now
from hdtui.services.run_details import FilesFacts, check_file, read_files
from hdtui.widgets.lines import Span
from hdtui.widgets.rule import Pane
from hdtui.widgets.shell_rows import Key
from hdtui.widgets.table import Column, Table, TableRow

if TYPE_CHECKING:
    from db.session import Database

COLUMNS = (
    Column("what", "what", 14),
    Column("name", "name", 22, grow=True),
    Column("size", "size", 8, right=True),
    Column("sha", "SHA-256", 9, leaves_first=2),
    Column("checked", "checked", 14, gap=1),
    Column("at", "written", 11, gap=0, leaves_first=1),
)


class FilesTab(RunTab):
    """What a run left on disk."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", show=False),
    ]

    def __init__(self, cockpit: Any, run_id: int) -> None:
        super().__init__(cockpit, run_id)
        self.rows: list[tuple[str, str, str, int, str, Any]] = []
        self.checked: dict[str, str] = {}
        self.table = Table(COLUMNS, empty="No files yet; checkpoints and results appear here.")

    def compose(self) -> ComposeResult:
        yield Pane("Files", self.table, widget_id="files-pane")

    def question(self) -> "Callable[[Database], Any]":
        return partial(read_files, run_id=self.run_id)

    def show_facts(self, facts: FilesFacts) -> None:
        self.rows = [
            (each.kind, each.name, each.path, each.size_bytes, each.sha256, each.created_at)
            for each in facts.artifacts
        ] + [
            (
                "checkpoint",
                f"at {steps(each.step)}, attempt {each.attempt}",
                each.path,
                each.size_bytes,
                each.sha256,
                each.created_at,
            )
            for each in facts.checkpoints
        ]
        total = sum(row[3] for row in self.rows)
        pane = self.query_one("#files-pane", Pane)
        folder = facts.home / "runs" / str(self.run_id)
        pane.set_rule(f"Files · {len(self.rows)}", f"{size(total)} · {folder}")
        self.table.set_rows([row[2] for row in self.rows], self._row)

    def _row(self, index: int) -> TableRow:
        what, name, path, num_bytes, sha256, at = self.rows[index]
        verdict = self.checked.get(path, "not checked")
        role = {"checked": "good", "not checked": "muted", "a folder": "muted"}.get(verdict, "bad")
        return TableRow(
            cells=(
                (Span(printable(what)),),
                (Span(printable(name)),),
                (Span(size(num_bytes)),),
                (Span(sha256[:8], "muted"),),
                (Span(verdict, role),),
                (Span(moment(at, now()), "muted"),),
            )
        )

    def keys(self) -> Sequence[Key]:
        return (Key("enter", "check SHA-256"), Key("y", "copy path"))

    def take_focus(self) -> None:
        self.table.focus()

    def _chosen(self) -> tuple[str, str] | None:
        for row in self.rows:
            if row[2] == self.table.cursor_key:
                return row[2], row[4]
        return None

    def on_table_chosen(self, message: Table.Chosen) -> None:
        message.stop()
        chosen = self._chosen()
        if chosen is not None:
            self.run_worker(partial(self._check, *chosen), thread=True, group="check")

    def _check(self, path: str, sha256: str) -> None:
        self.checked[path] = check_file(self.cockpit.home / path, sha256)
        self.app.call_from_thread(self.table.redraw)

    def action_copy(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.app.copy_to_clipboard(str(self.cockpit.home / chosen[0]))
            self.post_message(Answer("path copied"))
