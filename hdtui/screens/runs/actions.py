"""Keys that act on runs, the same on Home, Runs and Run: small letters look, capitals act."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from db.records import Run, RunKind, RunState
from hdtui.actions import runs
from hdtui.actions.evaluate import (
    POLICY_KINDS,
    Choices,
    EvaluationRequest,
    can_be_evaluated,
    queue_evaluation,
    read_offer,
)
from hdtui.data.run_list import Archiving, read_archiving
from hdtui.formatting import printable
from hdtui.messages import Loaded, StateSentence
from hdtui.screens.dialogs import ConfirmScreen, FieldsScreen, TypeToConfirmScreen
from hdtui.screens.new_run.evaluate import EvaluateScreen
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.chrome import Key

QUESTIONS = ("stop-warning", "delete-warning", "archive-warning", "offer", "annotate")
"""What is read before a dialog opens."""


class Offer(NamedTuple):
    """An action of a screen in words, with its key."""

    words: str
    key: str
    action: str


def _possible(run: Run, *, readonly: bool) -> list[Offer]:
    """What can be done to a run in its state, what changes nothing first."""
    state, judged = run.state, can_be_evaluated(run)
    waits = state is RunState.QUEUED
    looks = [
        (run.kind in (*POLICY_KINDS, RunKind.EVALUATION), Offer("watch", "w", "watch")),
        (True, Offer("mark, or not,", "space", "mark")),
        (True, Offer("pin, or not,", "p", "pin")),
        (True, Offer("copy the folder of", "y", "copy_folder")),
    ]
    changes = [
        (True, Offer("clone", "C", "clone")),
        (judged, Offer("evaluate", "e", "evaluate")),
        (True, Offer("tags and note of", "t", "annotate")),
        (state.active or waits, Offer("stop", "X", "stop")),
        (waits or (state.ended and state is not RunState.FINISHED), Offer("resume", "R", "resume")),
        (not run.archived, Offer("archive", "A", "archive")),
        (run.archived, Offer("bring back", "A", "archive")),
        (not state.active, Offer("delete", "D", "delete")),
    ]
    return [offer for can, offer in [*looks, *([] if readonly else changes)] if can]


class RunActionsScreen(CockpitScreen):
    """A screen with a current run, which its keys act on; ``current_run`` names it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", show=False),
        Binding("p", "pin", show=False),
        Binding("w", "watch", show=False),
        Binding("e", "evaluate", show=False),
        Binding("c", "compare", show=False),
        Binding("t", "annotate", show=False),
        Binding("C", "clone", show=False),
        Binding("R", "resume", show=False),
        Binding("X", "stop", show=False),
        Binding("A", "archive", show=False),
        Binding("D", "delete", show=False),
        Binding("y", "copy_folder", show=False),
    ]

    def current_run(self) -> int | None:
        """The run under the cursor."""
        return None

    def chosen_runs(self) -> list[int]:
        """The runs that ``A`` and ``D`` act on: the current one; a list adds the marks it shows."""
        current = self.current_run()
        return [current] if current is not None else []

    def run_under_cursor(self) -> Run | None:
        """The current run as the screen read it last."""
        return None

    def offers(self) -> list[Offer]:
        """What can be done now to the current run, and to the marked ones, for the palette."""
        run, offers = self.run_under_cursor(), []
        if run is not None:
            name = f"{run.id} {run.kind} {printable(run.name)}"
            offers = [
                Offer(f"{words} {name}", key, action)
                for words, key, action in _possible(run, readonly=self.cockpit.readonly)
            ]
        marked = len(self.cockpit.marked_runs)
        if marked:
            offers.append(Offer(f"compare the {marked} marked", "c", "compare"))
        chosen = len(self.chosen_runs())
        if chosen > 1 and not self.cockpit.readonly:
            offers = [each for each in offers if each.action not in ("archive", "delete")]
            offers.append(Offer(f"archive the {chosen} marked", "A", "archive"))
            offers.append(Offer(f"delete the {chosen} marked", "D", "delete"))
        return offers

    def marks_changed(self) -> None:
        """Draw marks and pin again."""
        self.read()

    def acting_keys(self) -> Sequence[Key]:
        """The keys that act on the current run."""
        return (Key("R", "run"), Key("X", "stop"))

    def _needs_run(self, key: str) -> int | None:
        run_id = self.current_run()
        if run_id is None:
            self.say(f"{key}: no run under the cursor")
        return run_id

    def open_run(self, run_id: int | None) -> None:
        """Go into a run."""
        if run_id is None:
            return
        from hdtui.screens.run.screen import RunScreen

        self.app.push_screen(RunScreen(self.cockpit, run_id))

    def action_mark(self) -> None:
        run_id = self._needs_run("space")
        if run_id is not None:
            self.cockpit.toggle_mark(run_id)
            self.marks_changed()

    def action_pin(self) -> None:
        """Pin the run as the baseline of curves and differences, or let it go."""
        run_id = self._needs_run("p")
        if run_id is None:
            return
        pinned = None if self.cockpit.pinned_run == run_id else run_id
        self.cockpit.pinned_run = pinned
        self.cockpit.preferences.set("pinned_run", pinned)
        self.say(f"{run_id} is pinned as the baseline" if pinned else f"{run_id} is not pinned")
        self.marks_changed()

    def action_copy_folder(self) -> None:
        """Copy where the run keeps its log, checkpoints and files."""
        run_id = self._needs_run("y")
        if run_id is not None:
            self.app.copy_to_clipboard(str(self.cockpit.home / "runs" / str(run_id)))
            self.say(f"copied the folder of {run_id}")

    def action_compare(self) -> None:
        if not self.cockpit.marked_runs:
            self.say("Nothing is marked. Mark runs with space on Runs (2), then c.")
            return
        self.app.action_mode("compare")  # type: ignore[attr-defined]

    def action_watch(self) -> None:
        run_id = self._needs_run("w")
        if run_id is not None:
            self.cockpit.watched_run = run_id
            self.app.action_mode("watch")  # type: ignore[attr-defined]

    def action_evaluate(self) -> None:
        run_id = self._needs_run("e")
        if run_id is not None:
            marked = tuple(self.cockpit.marked_robots)
            self.ask("offer", lambda database: (run_id, read_offer(database, run_id, marked)))

    def _ask_evaluation(self, run_id: int, choices: Choices) -> None:
        if not choices.robots:
            self.say("e: no robots; mark some on Robots (3) with space", "warn")
            return
        screen = EvaluateScreen(choices.first([run_id]), choices)
        self.app.push_screen(screen, self._evaluate)

    def _evaluate(self, wanted: EvaluationRequest | None) -> None:
        if wanted is not None and self.may_act():
            self.command(partial(queue_evaluation, self.cockpit, wanted))

    def action_clone(self) -> None:
        run_id = self._needs_run("C")
        if run_id is not None:
            from hdtui.screens.new_run.screen import LaunchScreen

            self.app.push_screen(LaunchScreen(self.cockpit, clone=run_id))

    def action_resume(self) -> None:
        run_id = self._needs_run("R")
        if run_id is not None and self.may_act():
            self.command(partial(runs.resume, self.cockpit, run_id))

    def action_stop(self) -> None:
        run_id = self._needs_run("X")
        if run_id is not None and self.may_act():
            cockpit = self.cockpit
            self.ask("stop-warning", lambda _: runs.stop_warning(cockpit, run_id))

    def action_archive(self) -> None:
        """Archive the run; several ones only after a question that names them."""
        run_ids = self.chosen_runs()
        if not run_ids or not self.may_act():
            return
        if len(run_ids) == 1:
            self.command(partial(runs.archive, self.cockpit, run_ids))
        else:
            self.ask("archive-warning", partial(read_archiving, run_ids=run_ids))

    def action_delete(self) -> None:
        run_ids = self.chosen_runs()
        if run_ids and self.may_act():
            cockpit = self.cockpit
            self.ask("delete-warning", lambda _: (run_ids, runs.delete_warning(cockpit, run_ids)))

    def action_annotate(self) -> None:
        run_id = self._needs_run("t")
        if run_id is not None and self.may_act():
            self.ask("annotate", partial(runs.annotated, run_id=run_id))

    def on_loaded(self, message: Loaded) -> None:
        if message.topic in QUESTIONS and not self.is_active:
            return  # over another screen the dialog would take keys that are meant for that one
        if message.topic == "stop-warning":
            self._ask_stop(*message.facts)
        elif message.topic == "delete-warning":
            self._ask_delete(*message.facts)
        elif message.topic == "archive-warning":
            self._ask_archive(message.facts)
        elif message.topic == "offer":
            self._ask_evaluation(*message.facts)
        elif message.topic == "annotate":
            self._ask_annotation(message.facts)
        else:
            super().on_loaded(message)

    def _ask_stop(self, run: Run, sentences: Sequence[str]) -> None:
        name = f"{run.id} {run.kind} {run.name}"
        if str(run.state) == "stopping":
            kill_it = partial(self._killed, run.id)
            words = [f"Kill {name} now? It had been asked to stop.", "Its last checkpoint stays."]
            choices = [("K", "kill it now")]
            self.app.push_screen(
                ConfirmScreen("Kill", words, choices, "leave it stopping"), kill_it
            )
        elif run.state.active or str(run.state) == "queued":
            words = [f"Stop {name}?", *sentences]
            choices = [("y", "stop it")]
            stop_it = partial(self._stopped, run.id)
            self.app.push_screen(ConfirmScreen("Stop", words, choices, "leave it running"), stop_it)
        else:
            idle = f"X: {run.id} is {run.state}, nothing to stop"
            self.say(StateSentence(idle, run.id, run.state))

    def _stopped(self, run_id: int, key: str | None) -> None:
        if key == "y":
            self.command(partial(runs.stop, self.cockpit, run_id))

    def _killed(self, run_id: int, key: str | None) -> None:
        if key == "K":
            self.command(partial(runs.kill, self.cockpit, run_id))

    def _ask_archive(self, question: Archiving) -> None:
        def act(key: str | None) -> None:
            if key == "y":
                self.command(partial(runs.archive, self.cockpit, question.run_ids))

        title = "Bring back" if question.back else "Archive"
        choices = [("y", "bring them back" if question.back else "archive them")]
        screen = ConfirmScreen(title, question.sentences, choices, "leave them")
        self.app.push_screen(screen, act)

    def _ask_delete(self, run_ids: Sequence[int], sentences: Sequence[str]) -> None:
        word, what = str(len(run_ids)), "the number of runs"
        if len(run_ids) == 1:
            word, what = str(run_ids[0]), "the id of the run"

        def act(agreed: bool | None) -> None:
            if agreed:
                self.command(partial(runs.delete, self.cockpit, run_ids))

        self.app.push_screen(TypeToConfirmScreen("Delete", sentences, word, what), act)

    def _ask_annotation(self, run: Run) -> None:
        def act(values: tuple[str, ...] | None) -> None:
            if values is not None:
                tags, study, note = values
                annotate = partial(runs.annotate, self.cockpit, run.id)
                self.command(partial(annotate, tags.split(), study.strip(), note))

        fields = (
            ("tags, parted by spaces", " ".join(run.tags)),
            ("study", run.group or ""),
            ("note", run.note or ""),
        )
        self.app.push_screen(FieldsScreen(f"{run.id} {run.name}", fields), act)
