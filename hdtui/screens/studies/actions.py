"""Keys that act on studies, the same on the list and on a study's page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.worker import get_current_worker

from engine.errors import HdtuiError
from engine.text import counted
from hdtui.actions import studies
from hdtui.data.studies import counted_networks
from hdtui.exports.study_report import report, report_path
from hdtui.messages import Answer
from hdtui.screens.dialogs import ConfirmScreen, FieldsScreen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from db.session import Database
    from engine.config.network_cost import NetworkQuestion
    from hdtui.data.study_views import StudyView
    from hdtui.screens.shell import CockpitScreen

STUDY_KEYS = (
    Binding("R", "study('resume')", "resume", tooltip="let its runs go on, queue missing ones"),
    Binding("X", "study('stop')", "stop", tooltip="stop its runs: asks, y stops"),
    Binding("E", "study('extend')", "more seeds", tooltip="extend it by seeds"),
    Binding("W", "study('report')", "report", tooltip="write its report, and copy the path"),
    Binding("y", "study('copy')", "copy path", tooltip="copy the path of its report"),
)
"""For the bindings of a screen whose ``action_study`` calls ``StudyActions.act``."""


class StudyActions:
    """What keys do to the study of a screen."""

    def __init__(self, screen: CockpitScreen, current: Callable[[], StudyView | None]) -> None:
        self.screen = screen
        self.cockpit = screen.cockpit
        self._current = current

    def act(self, name: str) -> None:
        """Do what a key means."""
        view = self._current()
        if view is None:
            key = next(each.key for each in STUDY_KEYS if each.action == f"study('{name}')")
            self.screen.say(f"{key}: no study that was begun under the cursor; n begins one")
        elif name == "copy":
            self._copy_path(view.study.name)
        elif self.screen.may_act():
            acts = {
                "resume": self._resume,
                "stop": self._stop,
                "extend": self._extend,
                "report": self._report,
            }
            acts[name](view)

    def count(self, views: Sequence[StudyView]) -> None:
        """Have networks whose sizes studies need counted by a child, once each."""
        needing = [view for view in views if view.summaries or view.counts]
        asked = dict.fromkeys(each for view in needing for each in view.uncounted)
        counting = self.cockpit.studies_reader.counting
        questions = [each for each in asked if each not in counting]
        if questions:
            counting.update(questions)
            if not self.screen.answer_row.said:
                self.screen.say("A child process counts networks, about 10s.")
            count = partial(self._count, questions)
            self.screen.run_worker(count, group="count", thread=True)

    def _count(self, questions: Sequence[NetworkQuestion]) -> None:
        worker, screen = get_current_worker(), self.screen
        count = partial(counted_networks, questions=questions, given_up=lambda: worker.is_cancelled)
        try:
            costs = self.cockpit.store.ask(count)
            self.cockpit.studies_reader.keep_costs(costs)
        except HdtuiError as error:
            if worker.is_cancelled:  # who left the page gave it up: the next one asks again
                self.cockpit.studies_reader.counting.difference_update(questions)
            else:
                screen.post_message(Answer(str(error), "warn"))
            return
        screen.post_message(Answer(f"counted {counted(len(costs), 'network')}"))
        screen.app.call_later(screen.read)

    def _copy_path(self, name: str) -> None:
        path = report_path(self.cockpit.home, name)
        if path.is_file():
            self.screen.app.copy_to_clipboard(str(path))
            self.screen.say(f"copied {path}")
        else:
            self.screen.say(f"y: {name} has no report yet, W writes it")

    def _report(self, view: StudyView) -> None:
        name, app = view.study.name, self.screen.app
        self.screen.say("writing the report")

        def write(database: Database) -> Answer:
            path = report(database, name)
            app.call_later(app.copy_to_clipboard, str(path))
            return Answer(f"report written and its path copied: {path}")

        self.screen.command(write)

    def _resume(self, view: StudyView) -> None:
        self.screen.command(partial(studies.resume, name=view.study.name))

    def _stop(self, view: StudyView) -> None:
        name = view.study.name
        warn = partial(studies.stop_warning, name=name)
        self.screen.ask(lambda database: (name, warn(database)), self._ask_stop)

    def _ask_stop(self, question: tuple[str, Sequence[str]]) -> None:
        name, sentences = question
        if not sentences:
            self.screen.say(f"X: nothing of {name} works or waits")
            return

        def act(key: str | None) -> None:
            if key == "y":
                self.screen.command(partial(studies.stop, name=name))

        choices = [("y", "stop it")]
        self.screen.open_dialog(ConfirmScreen("Stop", sentences, choices, "let it go on"), act)

    def _extend(self, view: StudyView) -> None:
        name, number = view.study.name, len(view.study.seeds)

        def problem(values: Sequence[str]) -> str:
            try:
                found = studies.number_of_seeds(values[0])
            except HdtuiError as error:
                return str(error)
            return "" if found > number else f"it has {number} already"

        def act(values: tuple[str, ...] | None) -> None:
            if values is not None:
                self.screen.command(partial(studies.extend, name=name, text=values[0]))

        label = f"seeds in all; as hdtui study extend {name} --seeds N"
        fields = ((label, str(number + 1)),)
        self.screen.open_dialog(FieldsScreen(f"Extend {name}", fields, problem), act)
