"""The tab Files: checkpoints and artifacts with size and SHA-256, checked on request."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from db.records import Artifact
from hdtui import formatting
from hdtui.data import run_details
from hdtui.data.cockpit import now
from hdtui.screens.run.tab import FilteredTab
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.lines import Span
from hdtui.widgets.pane import Pane
from hdtui.widgets.table import Column, Table, TableRow

COLUMNS = (
    Column("what", "what", 11),
    Column("name", "name", 22, grow=True, middle=True),
    Column("size", "size", 8, right=True),
    Column("sha", "SHA-256", 9, leaves_first=2),
    Column("checked", "checked", 14, gap=1),
    Column("at", "written", 11, gap=0, leaves_first=1),
)

RECORDING_PARTS = 4


class FileRow(NamedTuple):
    """A file as the tab shows it."""

    what: str
    name: str
    path: str
    num_bytes: int
    sha256: str
    at: datetime


def file_rows(facts: run_details.RunFiles) -> list[FileRow]:
    """Results first, then checkpoints, then recorded walks by robot and policy."""
    results = [each for each in facts.artifacts if each.kind != run_details.RECORDING]
    walks = [each for each in facts.artifacts if each.kind == run_details.RECORDING]
    names = recording_names([each.name for each in walks], facts.robot_names)
    rows = [_artifact_row(each, each.name) for each in results]
    rows += [
        FileRow(
            "checkpoint",
            f"at {formatting.steps(each.step)}, attempt {each.attempt}",
            each.path,
            each.size_bytes,
            each.sha256,
            each.created_at,
        )
        for each in facts.checkpoints
    ]
    named = sorted(zip(names, walks, strict=True), key=lambda pair: pair[0].split(" ")[::-1])
    return rows + [_artifact_row(each, name) for name, each in named]


def _artifact_row(artifact: Artifact, name: str) -> FileRow:
    return FileRow(
        artifact.kind,
        name,
        artifact.path,
        artifact.size_bytes,
        artifact.sha256,
        artifact.created_at,
    )


def recording_names(names: Sequence[str], robots: Mapping[str, str]) -> list[str]:
    """``student floor-1409`` for ``policy:digest:task:episode``; what is the same for all goes."""
    parts = [name.split(":") for name in names]
    if any(len(part) != RECORDING_PARTS for part in parts):
        return list(names)
    several = [len({part[place] for part in parts}) > 1 for place in range(RECORDING_PARTS)]
    return [
        " ".join(
            [
                policy,
                *([task] if several[2] else []),
                *([episode] if several[3] else []),
                robots.get(digest, digest[:12]),
            ]
        )
        for policy, digest, task, episode in parts
    ]


class FilesTab(FilteredTab):
    """What a run left on disk."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.choose", "check SHA-256", tooltip="check its SHA-256"),
        Binding("y", "copy", "copy path", tooltip="copy its path"),
    ]

    def __init__(self, shell: CockpitScreen, run_id: int) -> None:
        super().__init__(shell, run_id, Table(COLUMNS, empty="reading"), "find a file")
        self.answer: run_details.RunFiles | None = None
        self.rows: list[FileRow] = []
        self.checked: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield Pane("Files", self.table, widget_id="files-pane")
        yield self.filter_row

    def read(self) -> None:
        self.shell.ask(partial(run_details.read_files, run_id=self.run_id), self.show_files)

    def show_files(self, facts: run_details.RunFiles) -> None:
        """Show those that are called what is looked for."""
        self.answer = facts
        rows = file_rows(facts)
        wanted = self.filter_row.text.casefold()
        self.rows = [row for row in rows if wanted in f"{row.what} {row.name}".casefold()]
        total = sum(row.num_bytes for row in self.rows)
        pane = self.query_one("#files-pane", Pane)
        folder = facts.home / "runs" / str(self.run_id)
        many = f"{len(self.rows)} of {len(rows)}" if wanted else str(len(rows))
        pane.set_rule(f"Files · {many}", f"{formatting.size(total)} · {folder}")
        shown = self.rows
        self.table.set_rows(
            [row.path for row in shown],
            lambda index: self._row(shown[index]),
            empty=self._empty_sentence(any_file=bool(rows)),
        )

    def _empty_sentence(self, *, any_file: bool) -> str:
        if any_file:
            return "No file is called that."
        if self.ended:
            return "This run left no files but its log."
        return "No files yet; checkpoints and results appear here."

    def _row(self, row: FileRow) -> TableRow:
        what, name, path, num_bytes, sha256, at = row
        verdict = self.checked.get(path, "not checked")
        role = {"checked": "good", "not checked": "muted", "a folder": "muted"}.get(verdict, "bad")
        return TableRow(
            cells=(
                (Span(formatting.printable(what)),),
                (Span(formatting.printable(name)),),
                (Span(formatting.size(num_bytes)),),
                (Span(sha256[:8], "muted"),),
                (Span(verdict, role),),
                (Span(formatting.moment(at, now()), "muted"),),
            )
        )

    def footer(self) -> str:
        if self.rows:
            return "enter slash y"
        return "slash" if self.filter_row.text else ""

    def _chosen(self) -> tuple[str, str] | None:
        for row in self.rows:
            if row.path == self.table.cursor_key:
                return row.path, row.sha256
        return None

    def show_again(self) -> None:
        if self.answer is not None:
            self.show_files(self.answer)
        self.shell.show_keys()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        message.stop()
        chosen = self._chosen()
        if chosen is not None:
            self.run_worker(partial(self._check, *chosen), thread=True, group="check")

    def _check(self, path: str, sha256: str) -> None:
        self.checked[path] = run_details.check_file(self.cockpit.home / path, sha256)
        self.call_later(self.table.redraw)

    def action_copy(self) -> None:
        chosen = self._chosen()
        if chosen is None:
            self.shell.say("y: no file to copy the path of")
            return
        self.app.copy_to_clipboard(str(self.cockpit.home / chosen[0]))
        self.shell.say("path copied")
