"""The cockpit: bindings, modes and the pulse; screens load after the first paint."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import select
import signal
import sys
import threading
import time
import traceback
from codecs import lookup
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on, work
from textual._compositor import ChopsUpdate
from textual._context import active_message_pump
from textual._styles_cache import StylesCache
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.events import AppFocus, Event, Key
from textual.message import Message
from textual.screen import Screen
from textual.worker import WorkerFailed

from engine.errors import HdtuiError, NewerDatabaseError
from hdtui.data.cockpit import Cockpit
from hdtui.data.store import NoWorkspaceError
from hdtui.messages import (
    Answer,
    Counts,
    OpenForm,
    OpenMode,
    OpenRobot,
    OpenRun,
    OpenStudy,
    WatchRobot,
    WorldChanged,
)
from hdtui.screens.shell import CockpitScreen
from hdtui.screens.splash import SplashScreen
from hdtui.terminal.cached_stylesheet import CachedStylesheet
from hdtui.terminal.driver import MeteredDriver, forget_exported_size
from hdtui.terminal.key_gate import KeyGate
from hdtui.terminal.meter import ByteMeter
from hdtui.terminal.outliving import outlive_errors
from hdtui.terminal.partial_update import ChangedCells
from hdtui.terminal.sanitizer import DrawnText
from hdtui.widgets.chrome import Paragraph
from hdtui.widgets.roles import themes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from textual.filter import LineFilter

    from hdtui.data.supervisors import SupervisorWatch

MODE_SCREENS = {
    "home": "hdtui.screens.home.screen:HomeScreen",
    "runs": "hdtui.screens.runs.screen:RunsScreen",
    "robots": "hdtui.screens.robots.screen:RobotsScreen",
    "watch": "hdtui.screens.watch.screen:WatchScreen",
    "compare": "hdtui.screens.compare.screen:CompareScreen",
    "efficiency": "hdtui.screens.efficiency.screen:EfficiencyScreen",
    "studies": "hdtui.screens.studies.screen:StudiesScreen",
}
OVERLAYS = (
    *("hdtui.screens.help", "hdtui.screens.palette", "hdtui.screens.menu", "hdtui.screens.dialogs"),
    *("hdtui.screens.new_run.screen", "hdtui.screens.new_run.evaluate"),
    *("hdtui.screens.run.screen", "hdtui.screens.studies.study", "plotext"),
)
"""What keys open over a screen, and what draws there."""
LEAVING_KEYS = ("q", "ctrl+c", "ctrl+q")
"""They are heard also while the workspace is read, however long that takes."""
PULSE_S = 0.5
LEAVE_S = 2.0
"""How long who leaves waits to hear which runs keep running."""
RUNS_GO_ON = "Runs go on."
NOT_DONE = (
    "hdtui: what was asked last is not done, the database did not answer; `hdtui runs list` shows "
    "what is."
)
SCREENS_AFTER_S = 0.3
SWITCH_S = 0.0005
"""How long a thread that reads may keep a key waiting; Python's own 5 ms add up over a key's many
turns of the event loop."""
SWITCH_DELAY_S = 0.01
COLLECT_AFTER = (20_000, 20, 20)
"""Python looks for lost cycles after so many new objects; the default stops keys every second."""
QUIET_S = 0.4
MOST_LEFT_SCREENS = 8
"""A screen that was left is a lost cycle of megabytes, which Python alone would find after hundreds
of them: they are looked for when no key comes, or at the latest after so many."""


_SCREENS = Binding.Group("1 to 7")


class CockpitApp(App[str]):
    """The application; everything it knows about the world comes from data and actions."""

    CSS_PATH: ClassVar[list[Any]] = sorted((Path(__file__).parent / "styles").glob("*.tcss"))
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 -- Textual declares it on the instance
        (0, "-tiny"),
        (60, "-narrow"),
        (80, "-normal"),
        (120, "-wide"),
        (180, "-huge"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 -- Textual declares it on the instance
        (0, "-flat"),
        (18, "-low"),
        (24, "-medium"),
        (30, "-high"),
        (45, "-tall"),
    ]

    BINDINGS: ClassVar[list[BindingType]] = [
        *[
            Binding(
                number, f"mode('{mode}')", key_display=number, tooltip=mode.title(), group=_SCREENS
            )
            for number, mode in zip("1234567", MODE_SCREENS, strict=True)
        ],
        Binding("slash", "filter", tooltip="filter or search, where there is one"),
        Binding("n", "new_run", "new", tooltip="new run"),
        Binding("ctrl+p,colon", "palette", "find", tooltip="or : find anything"),
        Binding("ctrl+l", "redraw", tooltip="redraw"),
        Binding("q", "leave", "leave, runs go on", tooltip="leave; runs go on"),
        Binding("ctrl+c,ctrl+q", "leave", priority=True),
    ]

    class Opened(Message):
        """The database was read for the first time, or could not be."""

        def __init__(
            self, first_start: bool, problem: str = "", upgrade: str = "", newer: bool = False
        ) -> None:
            super().__init__()
            self.first_start = first_start
            self.problem = problem
            self.upgrade = upgrade
            self.newer = newer
            """It is of a newer program: the cockpit says so and reads nothing."""

    class Pulsed(Message):
        """The pulse read the counts; ``changed`` says whether anybody wrote."""

        def __init__(self, counts: Counts, changed: bool, answer: Answer | None = None) -> None:
            super().__init__()
            self.counts = counts
            self.changed = changed
            self.answer = answer

    def __init__(self, home: Path, readonly: bool = False, theme: str | None = None) -> None:
        outlive_errors()
        forget_exported_size()
        self.meter = ByteMeter()
        encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
        self._drawn_text = DrawnText(encoding)
        self.ascii_terminal = lookup(encoding).name != "utf-8"
        self.gate = KeyGate(self)
        self.gate.closed = True  # until the workspace was read
        # Known before the first paint, or its background would be sent as a colour.
        plain = True if "NO_COLOR" in os.environ else None
        super().__init__(driver_class=MeteredDriver, ansi_color=plain)
        self.stylesheet = CachedStylesheet(variables=self.get_css_variables())
        self.cockpit = Cockpit(home, readonly)
        self._pulsing = threading.Lock()
        self.ascii_only = self.ascii_terminal
        self._asked_theme = theme
        self._revision: int | None = None
        self._opened = False
        self._key_at = 0.0
        self._num_left_screens = 0
        self._welcome: Screen[Any] | None = None
        self._supervision: SupervisorWatch | None = None
        for candidate in themes():
            self.register_theme(candidate)
        self.theme = "mono" if self.no_color else theme or "terminal"

    def show(self) -> str | None:
        """Be shown until the user leaves; what to say then. Nobody is waited for for ever."""
        threads = self.cockpit.threads
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(threads)
            sentence = runner.run(self.run_async())
        if not threads.at_work:  # else one of them may hold what is to be closed
            self.cockpit.store.close()
        return sentence

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._drawn_text]

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Send less of a partial update than Textual does, which has no public place for that."""
        if isinstance(renderable, ChopsUpdate):
            renderable = ChangedCells.of(renderable)
        super()._display(screen, renderable)

    def _handle_exception(self, error: Exception) -> None:
        """Go on after what a handler, a timer or a worker let through; end what never began."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        if not self._is_mounted:
            self.end_with(cause)
            return
        if self._exit or not self._running:  # what the last messages meet is half gone
            self.cockpit.mistakes.is_news("leaving", cause)
            return
        pump = active_message_pump.get(None)
        self.outlive(f"in {type(pump).__name__}", cause)
        if isinstance(pump, Screen) and not pump.children:  # composing it failed
            pump.mount(Paragraph(f"This screen cannot be shown: {type(cause).__name__}."))

    def outlive(self, doing: str, error: BaseException) -> None:
        """Write an error that nobody expected to the log, say it once, and go on."""
        mistakes = self.cockpit.mistakes
        if not mistakes.is_news(doing, error):
            return
        self.tell(Answer(mistakes.sentence(doing, error), "bad"))

    def tell(self, answer: Answer) -> None:
        """Say something above the keys; a dialog has no row for it, what lies below has."""
        for screen in reversed(self._screen_stacks.get(self._current_mode, [])):
            if isinstance(screen, CockpitScreen):
                screen.post_message(answer)
                return

    def end_with(self, error: BaseException) -> None:
        """Leave with exit code 1: the cockpit cannot begin, or its terminal is gone."""
        self._return_code = 1
        if self._exception is None and isinstance(error, Exception):
            self._exception = error  # a test's pilot raises it
            self._exception_event.set()
        sentence = self.cockpit.mistakes.note("starting or leaving", error)
        lines = [] if self.cockpit.mistakes.log else traceback.format_exception(error)
        self.panic(Text("".join([*lines, sentence])))

    def delay_update(self, delay: float = SWITCH_DELAY_S) -> None:
        """Wait less than Textual for a screen to be laid out before it is shown."""
        super().delay_update(min(delay, SWITCH_DELAY_S))

    def get_default_screen(self) -> Screen[Any]:
        return SplashScreen(self.cockpit)

    async def on_event(self, event: Event) -> None:
        """Let keys act one after another, also those typed ahead of a screen that opens."""
        if not isinstance(event, Key):
            await super().on_event(event)
        elif self._exit:
            return  # nobody is there any more to hear it
        elif event.is_forwarded:
            try:
                await super().on_event(event)
            finally:
                self.call_later(self.gate.done, event)  # after what the key has posted to be opened
        elif (event.key in LEAVING_KEYS and self.gate.closed) or self.gate.admits(event):
            self._key_at = time.monotonic()
            receiver = self.focused or self.screen
            await super().on_event(event)
            self.gate.passed(event, receiver)

    def on_mount(self) -> None:
        # A lost terminal or a polite kill leaves as a key would: the terminal is restored.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.exit)
        loop.add_signal_handler(signal.SIGHUP, self.exit, None, 1)
        loop.set_exception_handler(self._outlive_in_loop)
        self.set_interval(PULSE_S, self._leave_without_terminal)
        self.call_after_refresh(self.open_workspace)

    def _leave_without_terminal(self) -> None:
        """In the event loop: every thread may be waiting for the database."""
        if terminal_is_gone() and not self._exit:
            self.exit(None, 1)

    def _outlive_in_loop(self, _: asyncio.AbstractEventLoop, facts: dict[str, Any]) -> None:
        error = facts.get("exception")
        if isinstance(error, Exception):
            self.outlive("in the background", error)

    @work(thread=True, exclusive=True, group="open")
    def open_workspace(self) -> None:
        """After the first paint: import what is heavy, read the workspace, build the screens."""
        first_start, newer, problem = False, False, ""
        try:
            self.cockpit.load_preferences()
            first_start = self._count().total == 0
        except NoWorkspaceError:
            first_start = True
        except HdtuiError as error:
            newer, problem = isinstance(error, NewerDatabaseError), str(error)
        except Exception as error:  # noqa: BLE001 -- a workspace that cannot be read is still shown
            problem = self.cockpit.mistakes.note("opening the workspace", error)
        _screen_class(MODE_SCREENS["home"])
        upgrade = self.cockpit.store.upgrade_sentence
        self.post_message(self.Opened(first_start, problem, upgrade, newer))

    @work(thread=True, group="screens")
    def load_screens(self) -> None:
        """Import the other screens once Home is full, so that the first key need not."""
        for target in MODE_SCREENS.values():
            _screen_class(target)
        for module in OVERLAYS:
            importlib.import_module(module)
        # A first reading costs more than the next ones: statements, rows that stay as they are.
        with contextlib.suppress(HdtuiError):  # said where somebody asks
            self.cockpit.store.ask(self.cockpit.read_ahead)
        gc.freeze()  # modules and classes stay: looking through them stops a key for long

    def on_cockpit_app_opened(self, message: Opened) -> None:
        if message.newer and not self._opened:
            self.tell(Answer(message.problem, "bad"))
            self.gate.closed = False
            return
        self._apply_preferences()
        if not self._opened:
            self._opened = True
            for mode, target in MODE_SCREENS.items():
                self.add_mode(mode, _factory(target, self.cockpit))
            self.set_interval(PULSE_S, self.pulse)
            self.set_timer(SCREENS_AFTER_S, self.load_screens)
        self.switch_mode("home")
        self.gate.closed = False
        if message.problem and isinstance(self.screen, CockpitScreen):
            self.screen.call_later(self.screen.show_failure, message.problem)
        elif message.upgrade:
            self.screen.post_message(Answer(message.upgrade))
        if message.first_start:
            from hdtui.screens.welcome import WelcomeScreen

            self.gate.forget()
            self._welcome = WelcomeScreen(self.cockpit)
            self.push_screen(self._welcome)

    def _apply_preferences(self) -> None:
        preferences = self.cockpit.preferences
        wanted = preferences.get("drawing", "braille")
        self.ascii_only = self.ascii_terminal or wanted == "ascii"
        if self._asked_theme is None and not self.no_color:
            stored = preferences.get("theme", "terminal")
            if stored in self.available_themes:
                self.theme = stored

    @work(thread=True, exclusive=True, group="pulse")
    def pulse(self) -> None:
        """Look whether anybody wrote, every half second; unchanged means no query."""
        if not self._pulsing.acquire(blocking=False):
            return  # the one before still waits for the database
        try:
            self._look()
        finally:
            self._pulsing.release()

    def _look(self) -> None:
        store, answer = self.cockpit.store, None
        try:
            revision = store.revision()
            known = self.cockpit.counts
            changed = revision != self._revision or known is None or bool(known.notice)
            counts = self._count() if changed or known is None else replace(known, warning="")
            self._revision = revision
            self.cockpit.save_preferences()
            counts, answer = self._supervised(counts)
        except NoWorkspaceError:
            counts, changed = Counts(), False
        except HdtuiError:
            lost_s = round(store.health.lost_for_s)
            counts, changed = Counts(notice=f"database lost {lost_s}s"), True
        self.post_message(self.Pulsed(counts, changed, answer))

    def _supervised(self, counts: Counts) -> tuple[Counts, Answer | None]:
        """See to it that work has a supervisor; row 1 says where it has none."""
        if self._supervision is None:
            from hdtui.data.supervisors import SupervisorWatch

            self._supervision = SupervisorWatch(self.cockpit)
        sentence = self._supervision.look(counts.queued + counts.active)
        missing = self._supervision.missing
        if missing:
            counts = replace(counts, warning="no supervisor")
        answer = Answer(sentence, "warn" if missing else "text") if sentence else None
        return counts, answer

    def _count(self) -> Counts:
        from hdtui.data.run_views import count_runs

        return self.cockpit.store.ask(count_runs)

    def _tidy(self) -> None:
        """Give back what screens that were left have used, between two keys."""
        quiet = time.monotonic() - self._key_at >= QUIET_S
        if self._num_left_screens >= (1 if quiet else MOST_LEFT_SCREENS):
            self._num_left_screens = 0
            StylesCache.get_inner_outer.cache_clear()  # it keeps the pictures of a thousand widgets
            gc.collect()

    def on_screen_gone(self) -> None:
        self._num_left_screens += 1

    def on_cockpit_app_pulsed(self, message: Pulsed) -> None:
        self._tidy()
        known, self.cockpit.counts = self.cockpit.counts, message.counts
        if not self.screen_stack:  # a last pulse may come when the screens are gone
            return
        if message.answer is not None:
            self._tell_of_pulse(message.answer)
        if message.changed or known != message.counts:
            self.screen.post_message(WorldChanged())

    def _tell_of_pulse(self, answer: Answer) -> None:
        """Say what the pulse found out; only a trouble takes the place of a key's answer."""
        screen = self.screen
        free = not isinstance(screen, CockpitScreen) or not any(screen.answer_row.lines)
        if free or answer.role == "warn":
            self.tell(answer)
        else:
            self.cockpit.messages.append(answer.text)

    def action_mode(self, mode: str) -> None:
        """Go to one of the seven screens as it was left; Home and the current one to their top.

        The top of Home is the Welcome screen while the workspace has no run.
        """
        if not self._opened:
            return
        current = self.current_mode == mode
        if not current:
            self.switch_mode(mode)
        if current or mode == "home":
            counts = self.cockpit.counts
            begun = counts is not None and counts.total > 0
            while len(self.screen_stack) > 1 and (begun or self.screen is not self._welcome):
                self.pop_screen()

    def on_answer(self, message: Answer) -> None:
        self.tell(message)

    def on_open_mode(self, message: OpenMode) -> None:
        self.action_mode(message.mode)

    def on_open_run(self, message: OpenRun) -> None:
        from hdtui.screens.run.screen import RunScreen

        self.push_screen(RunScreen(self.cockpit, message.run_id))

    def on_open_study(self, message: OpenStudy) -> None:
        from hdtui.screens.studies.study import StudyScreen

        self.push_screen(StudyScreen(self.cockpit, message.name))

    def on_open_robot(self, message: OpenRobot) -> None:
        from hdtui.screens.robots.robot import RobotScreen

        self.push_screen(RobotScreen(self.cockpit, message.digest, message.robot_name))

    async def on_watch_robot(self, message: WatchRobot) -> None:
        from hdtui.screens.watch.screen import WatchScreen

        await self.switch_mode("watch")
        if isinstance(self.screen, WatchScreen):
            self.screen.watch_robot(message.digest, message.robot_name)

    def on_open_form(self, message: OpenForm) -> None:
        from hdtui.screens.new_run.screen import LaunchScreen

        self.push_screen(LaunchScreen(self.cockpit, message.stage, message.clone))

    def action_new_run(self) -> None:
        """Open the form of a new run."""
        if self._opened:
            self.post_message(OpenForm())

    def action_filter(self) -> None:
        """Say where the key means something: a screen with a filter hears it first."""
        words = "/: this screen has no filter; Runs (2) and Robots (3) have one"
        self.tell(Answer(words))

    def action_palette(self) -> None:
        if self._opened:
            from hdtui.screens.palette import PaletteScreen

            self.push_screen(PaletteScreen(self.cockpit))

    @on(AppFocus)
    def _give_focus_back(self) -> None:
        """Another screen may stand there than the one that was left; Textual gives it no focus."""
        if isinstance(self.screen, CockpitScreen):
            self.screen.call_later(self.screen.keep_focus)

    @on(Driver.SignalResume)
    def action_redraw(self) -> None:
        """Send every cell again: on a key, and where the process was halted."""
        for widget in self.screen.query("*"):
            widget.refresh()
        self.screen.refresh(repaint=True, layout=True)

    def action_leave(self) -> None:
        """Leave at once and say which runs keep running, unless the database keeps that back."""
        self.set_timer(LEAVE_S, partial(self._leave, RUNS_GO_ON))
        self._ask_and_leave()

    @work(thread=True, group="leave")
    def _ask_and_leave(self) -> None:
        sentence = ""
        try:
            from hdtui.data.run_views import leaving_sentence

            if self._opened:
                self.cockpit.save_preferences()
                sentence = self.cockpit.store.ask(leaving_sentence)
        except HdtuiError:
            sentence = RUNS_GO_ON
        self.call_later(self._leave, sentence)

    def _leave(self, sentence: str) -> None:
        if not self._exit:
            self.exit(sentence)


def terminal_is_gone() -> bool:
    """The terminal was closed and nobody was told: without a controlling one there is no hangup."""
    look = select.poll()
    look.register(sys.__stdout__ or 1, select.POLLHUP)
    return any(what & select.POLLHUP for _, what in look.poll(0))


def _screen_class(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _factory(target: str, cockpit: Cockpit) -> Any:
    def build() -> Screen[Any]:
        screen: Screen[Any] = _screen_class(target)(cockpit)
        return screen

    return build


def run(home: Path, readonly: bool = False, theme: str | None = None) -> int:
    """Show the cockpit of a workspace until the user leaves, then say what keeps running.

    The exit code: 0 where it was left, 1 where an error ended it.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*COLLECT_AFTER)
    app = CockpitApp(home, readonly, theme)
    sentence = app.show()
    if sentence:
        print(sentence)  # noqa: T201
    if app.cockpit.threads.acts:
        with contextlib.suppress(OSError):  # there may be no terminal any more
            print(NOT_DONE, file=sys.stderr)  # noqa: T201
        return 1
    return app.return_code or 0
