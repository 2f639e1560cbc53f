"""Keys that act on runs, the same on Home, Runs and Run: small letters look, capitals act."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from textual.binding import Binding

from db.records import Run, RunState
from hdtui.actions import runs
from hdtui.actions.evaluate import Choices, can_be_evaluated, can_be_watched, read_offer
from hdtui.data.cockpit import now
from hdtui.data.run_list import Archiving, read_archiving
from hdtui.data.run_views import read_run
from hdtui.formatting import printable
from hdtui.messages import Answer, OpenForm, OpenMode, OpenRun
from hdtui.screens.dialogs import ConfirmScreen, FieldsScreen, TypeToConfirmScreen
from hdtui.screens.new_run.evaluate import ask_evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from db.session import Database
    from hdtui.data.run_states import RunView
    from hdtui.screens.shell import CockpitScreen

_REMOVES = Binding.Group("A / D")
MARK = Binding("space", "run('mark')", "mark", tooltip="mark the run")
RUN_KEYS = (
    Binding("p", "run('pin')", "pin", tooltip="pin as the baseline"),
    Binding("e", "run('evaluate')", "evaluate", tooltip="evaluate its policy"),
    Binding("w", "run('watch')", "watch", tooltip="watch its policy walk"),
    Binding("c", "run('compare')", "compare", tooltip="compare the marked"),
    Binding("t", "run('annotate')", "tags", tooltip="tags and note"),
    Binding("C", "run('clone')", "clone", tooltip="clone and edit"),
    Binding("R", "run('resume')", "run", tooltip="start, resume, retry"),
    Binding("X", "run('stop')", "stop", tooltip="stop: asks, y stops"),
    Binding("A", "run('archive')", "archive", key_display="A", tooltip="archive", group=_REMOVES),
    Binding("D", "run('delete')", "delete", key_display="D", tooltip="delete", group=_REMOVES),
    Binding("y", "run('copy_folder')", "copy", tooltip="copy the folder of the run"),
)
"""For the bindings of a screen whose ``action_run`` calls ``RunActions.act``."""


class RunAction(NamedTuple):
    """What can be done to a run, in words, with its key."""

    text: str
    key: str
    name: str


def possible(run: Run, *, readonly: bool) -> list[RunAction]:
    """What can be done to a run in its state, what changes nothing first."""
    state = run.state
    waits = state is RunState.QUEUED
    looks = [
        (can_be_watched(run), RunAction("watch", "w", "watch")),
        (True, RunAction("mark, or not,", "space", "mark")),
        (True, RunAction("pin, or not,", "p", "pin")),
        (True, RunAction("copy the folder of", "y", "copy_folder")),
    ]
    halted = waits or (state.ended and state is not RunState.FINISHED)
    changes = [
        (True, RunAction("clone", "C", "clone")),
        (can_be_evaluated(run), RunAction("evaluate", "e", "evaluate")),
        (True, RunAction("tags and note of", "t", "annotate")),
        (state.active or waits, RunAction("stop", "X", "stop")),
        (halted, RunAction("resume", "R", "resume")),
        (not run.archived, RunAction("archive", "A", "archive")),
        (run.archived, RunAction("bring back", "A", "archive")),
        (not state.active, RunAction("delete", "D", "delete")),
    ]
    return [action for can, action in [*looks, *([] if readonly else changes)] if can]


class RunActions:
    """What keys do to the current run of a screen, and to the runs that it has chosen.

    The screen says which run its cursor is on, which runs ``A`` and ``D`` mean, and what it last
    read of the current one; it is told when marks or the pin have changed.
    """

    def __init__(
        self,
        screen: CockpitScreen,
        current: Callable[[], int | None],
        record: Callable[[], Run | None],
        marks_changed: Callable[[], None],
        chosen: Callable[[], Sequence[int]] = tuple,
    ) -> None:
        self.screen = screen
        self.cockpit = screen.cockpit
        self.current = current
        self._record = record
        self._marks_changed = marks_changed
        self._marked = chosen

    def act(self, name: str) -> None:
        """Do what a key means."""
        acts: dict[str, Callable[[int], None]] = {
            "mark": self.mark,
            "pin": self.pin,
            "copy_folder": self.copy_folder,
            "watch": self.watch,
            "evaluate": self.evaluate,
            "clone": self.clone,
            "resume": self.resume,
            "stop": self.stop,
            "annotate": self.annotate,
        }
        if name == "compare":
            self.compare()
        elif name in ("archive", "delete"):
            self._change_chosen(name)
        else:
            run_id = self.current()
            if run_id is None:
                key = next(b.key for b in (MARK, *RUN_KEYS) if b.action == f"run('{name}')")
                self.screen.say(f"{key}: no run under the cursor")
            else:
                acts[name](run_id)

    def chosen(self) -> list[int]:
        """The runs that ``A`` and ``D`` mean: those the screen has chosen, else the current one."""
        current = self.current()
        return list(self._marked()) or ([] if current is None else [current])

    def offers(self) -> list[RunAction]:
        """What can be done now to the current run, and to the marked ones, for the palette."""
        run, offers = self._record(), []
        if run is not None:
            name = f"{run.id} {run.kind} {printable(run.name)}"
            offers = [
                action._replace(text=f"{action.text} {name}")
                for action in possible(run, readonly=self.cockpit.readonly)
            ]
        num_marked, num_chosen = len(self.cockpit.marked_runs), len(self.chosen())
        if num_marked:
            offers.append(RunAction(f"compare the {num_marked} marked", "c", "compare"))
        if num_chosen > 1 and not self.cockpit.readonly:
            offers = [action for action in offers if action.name not in ("archive", "delete")]
            offers.append(RunAction(f"archive the {num_chosen} marked", "A", "archive"))
            offers.append(RunAction(f"delete the {num_chosen} marked", "D", "delete"))
        return offers

    def mark(self, run_id: int) -> None:
        self.cockpit.marked_runs.toggle(run_id)
        self._marks_changed()

    def pin(self, run_id: int) -> None:
        """Pin the run as the baseline of curves and differences, or let it go."""
        pinned = None if self.cockpit.pinned_run == run_id else run_id
        self.cockpit.pin(pinned)
        self.screen.say(
            f"{run_id} is pinned as the baseline" if pinned else f"{run_id} is not pinned"
        )
        self._marks_changed()

    def copy_folder(self, run_id: int) -> None:
        """Copy where the run keeps its log, checkpoints and files."""
        self.screen.app.copy_to_clipboard(str(self.cockpit.home / "runs" / str(run_id)))
        self.screen.say(f"copied the folder of {run_id}")

    def compare(self) -> None:
        if self.cockpit.marked_runs:
            self.screen.app.post_message(OpenMode("compare"))
        else:
            self.screen.say("Nothing is marked. Mark runs with space on Runs (2), then c.")

    def watch(self, run_id: int) -> None:
        self.cockpit.watched_run = run_id
        self.screen.app.post_message(OpenMode("watch"))

    def open(self, run_id: int | None) -> None:
        """Go into a run."""
        if run_id is not None:
            self.screen.app.post_message(OpenRun(run_id))

    def clone(self, run_id: int) -> None:
        self.screen.app.post_message(OpenForm(clone=run_id))

    def evaluate(self, run_id: int) -> None:
        marked = tuple(self.cockpit.marked_robots)
        offer = partial(read_offer, run_id=run_id, marked=marked)
        self.screen.ask(offer, self._ask_evaluation)

    def _ask_evaluation(self, choices: Choices) -> None:
        ask_evaluation(self.screen, choices)

    def resume(self, run_id: int) -> None:
        if self.screen.may_act():
            self.screen.command(partial(runs.resume, run_id=run_id))

    def stop(self, run_id: int) -> None:
        if self.screen.may_act():
            self.screen.ask(partial(runs.stop_warning, run_id=run_id), self._ask_stop)

    def _ask_stop(self, warning: tuple[Run, Sequence[str]]) -> None:
        run, sentences = warning
        name = f"{run.id} {run.kind} {run.name}"
        if run.state is RunState.STOPPING:
            kill = partial(runs.kill, run_id=run.id)
            sentences = [
                f"Kill {name} now? It had been asked to stop.",
                "Its last checkpoint stays.",
            ]
            self._confirm("Kill", sentences, ("K", "kill it now"), "leave it stopping", kill)
        elif run.state.active or run.state is RunState.QUEUED:
            stop = partial(runs.stop, run_id=run.id)
            sentences = [f"Stop {name}?", *sentences]
            self._confirm("Stop", sentences, ("y", "stop it"), "leave it running", stop)
        elif self.screen.is_active:
            idle = f"X: {run.id} is {run.state}, nothing to stop"
            self.screen.give(Answer(idle, run_id=run.id, state=run.state))

    def _confirm(
        self,
        title: str,
        sentences: Sequence[str],
        choice: tuple[str, str],
        no: str,
        command: Callable[[Database], Answer],
    ) -> None:
        """Ask in a dialog that names the run, and act on the one key that says yes."""

        def act(key: str | None) -> None:
            if key == choice[0]:
                self.screen.command(command)

        self.screen.open_dialog(ConfirmScreen(title, sentences, [choice], no), act)

    def _change_chosen(self, name: str) -> None:
        """Archive one run at once; several ones, or to delete, only after a question."""
        run_ids = self.chosen()
        if not run_ids or not self.screen.may_act():
            return
        if name == "delete":
            self.screen.ask(partial(runs.deletion, run_ids=run_ids), self._ask_delete)
        elif len(run_ids) == 1:
            self.screen.command(partial(runs.archive, run_ids=run_ids))
        else:
            self.screen.ask(partial(read_archiving, run_ids=run_ids), self._ask_archive)

    def _ask_archive(self, question: Archiving) -> None:
        title = "Bring back" if question.back else "Archive"
        choice = ("y", "bring them back" if question.back else "archive them")
        archive = partial(runs.archive, run_ids=question.run_ids)
        self._confirm(title, question.sentences, choice, "leave them", archive)

    def _ask_delete(self, deletion: runs.Deletion) -> None:
        run_ids = deletion.run_ids
        word, what = str(len(run_ids)), "the number of runs"
        if len(run_ids) == 1:
            word, what = str(run_ids[0]), "the id of the run"

        def delete(database: Database) -> Answer:
            answer = runs.delete(database, run_ids)
            self.cockpit.marked_runs.drop(run_ids)
            return answer

        def act(agreed: bool | None) -> None:
            if agreed:
                self.screen.command(delete)

        self.screen.open_dialog(TypeToConfirmScreen("Delete", deletion.sentences, word, what), act)

    def annotate(self, run_id: int) -> None:
        if self.screen.may_act():
            self.screen.ask(partial(read_run, run_id=run_id, now=now()), self._ask_annotation)

    def _ask_annotation(self, view: RunView) -> None:
        run = view.run

        def act(values: tuple[str, ...] | None) -> None:
            if values is not None:
                tags, study, note = values
                annotate = partial(runs.annotate, run_id=run.id, tags=tags.split())
                self.screen.command(partial(annotate, study=study.strip(), note=note))

        fields = (
            ("tags, parted by spaces", " ".join(run.tags)),
            ("study", run.group or ""),
            ("note", run.note or ""),
        )
        self.screen.open_dialog(FieldsScreen(f"{run.id} {run.name}", fields), act)
