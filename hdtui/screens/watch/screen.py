"""Watch: teacher and student walking side by side, held, scrubbed and followed."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from engine.errors import DatasetError
from hdtui.canvas.camera import VIEWS
from hdtui.canvas.picture import Drawing
from hdtui.data.cockpit import Cockpit
from hdtui.data.player import FrameRate, Player, highest_rate
from hdtui.data.watch import Film, RecordedEpisodes, Recording, list_recordings, load_films
from hdtui.formatting import printable
from hdtui.screens.keys import BRACKETS, next_of
from hdtui.screens.shell import CockpitScreen
from hdtui.screens.watch import rows
from hdtui.terminal.meter import TokenBucket, meter_of
from hdtui.widgets.film_view import Stage
from hdtui.widgets.pane import Divider, Rule
from hdtui.widgets.timeline import Timeline

if TYPE_CHECKING:
    from textual.timer import Timer

_FRAMES = Binding.Group(", .")
_SECONDS = Binding.Group("← →", compact=True)
_SPEEDS = Binding.Group("+ -", compact=True)
_ROBOTS = Binding.Group("j k", compact=True)
_BYTES_PER_S = 12_000
"""Just under 12 KiB: what a large robot costs ten times a second, with the words beside it."""
_WORDS_EVERY_S = 0.5
_LIST_EVERY_S = 5.0


class WatchScreen(CockpitScreen):
    """Plays the recorded episodes of a robot; same robot, same seed, same clock."""

    TAB: ClassVar[int] = 3
    TITLE_WORD: ClassVar[str] = "Watch"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "hold", "hold", tooltip="hold and go on"),
        Binding("comma", "frame(-1)", tooltip="one frame back", group=_FRAMES),
        Binding("full_stop", "frame(1)", "frame", tooltip="forward", group=_FRAMES),
        Binding("left", "seconds(-1)", tooltip="one second back", group=_SECONDS),
        Binding("right", "seconds(1)", "1s", tooltip="forward", group=_SECONDS),
        Binding("plus,equals_sign", "speed(1)", "speed", tooltip="faster", group=_SPEEDS),
        Binding("minus", "speed(-1)", tooltip="slower: 0.1 to 4x", group=_SPEEDS),
        Binding("f", "follow", "follow", tooltip="the camera follows, or stands"),
        Binding("v", "view", "camera", tooltip="side, three-quarter, front, top"),
        Binding("d", "drawing", "drawing", tooltip="braille, blocks, ASCII"),
        Binding("left_square_bracket", "episode(-1)", tooltip="previous", group=BRACKETS),
        Binding(
            "right_square_bracket", "episode(1)", "episode", tooltip="next episode", group=BRACKETS
        ),
        Binding("j,down", "robot(1)", "robot", tooltip="next", group=_ROBOTS),
        Binding("k,up", "robot(-1)", tooltip="previous robot", group=_ROBOTS),
        Binding("tab", "other_stage", tooltip="both policies, or one alone"),
        Binding("0", "reset", tooltip="from the start, camera as at first"),
        Binding("R", "record", "record", tooltip="record this robot"),
    ]

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__(cockpit)
        self.title_rule = Rule("Watch")
        self.stages = (Stage(), Stage())
        self.clock_rule = Rule()
        self.timeline = Timeline()
        self.player = Player()
        self.rate = FrameRate(_BYTES_PER_S)
        self.bucket = TokenBucket(_BYTES_PER_S, _BYTES_PER_S)
        self.recordings: RecordedEpisodes | None = None
        self.robot_digest: str | None = None
        self.wanted_robot_name = ""
        self.episode = 0
        self.films: tuple[Film, ...] = ()
        self.alone: int | None = None
        self.follow = True
        self.view = VIEWS[0]
        self._shown: tuple[Recording, ...] = ()
        self._timer: Timer | None = None
        self._frames_per_s = 0
        self._drawn_at = 0.0
        self._words_at = 0.0
        self._listed_at = -_LIST_EVERY_S
        self._bytes_before = 0
        self._first_frame = True

    def compose_body(self) -> ComposeResult:
        self.title_rule.focused_pane = True
        yield self.title_rule
        with Horizontal(id="stages"):
            yield self.stages[0]
            yield Divider("│")
            yield self.stages[1]
        yield self.clock_rule
        yield self.timeline

    def footer(self) -> str:
        return "space full_stop right plus f v j right_square_bracket d" if self.films else "R j"

    def key_text(self, binding: Binding) -> str:
        return "go on" if binding.action == "hold" and self.player.held else binding.description

    def on_mount(self) -> None:
        self._pace()

    def watch_robot(self, digest: str, name: str) -> None:
        """Show this robot from now on; another screen asks for it."""
        self.robot_digest, self.wanted_robot_name, self.episode = digest, name, 0
        self.cockpit.watched_run = None
        self._listed_at = -_LIST_EVERY_S
        self.read()

    def on_screen_resume(self) -> None:
        self._listed_at = -_LIST_EVERY_S
        self._drawn_at = time.monotonic()

    def read(self) -> None:
        if time.monotonic() - self._listed_at < _LIST_EVERY_S:
            return
        self._listed_at = time.monotonic()
        home = self.cockpit.home
        self.ask(
            lambda database: list_recordings(database, home),
            self._list,
            empty=RecordedEpisodes((), ()),
        )

    def _list(self, recordings: RecordedEpisodes) -> None:
        watched_run = self.cockpit.watched_run
        self.recordings = recordings if watched_run is None else recordings.of_run(watched_run)
        if watched_run is not None and self.robot_digest not in self.recordings.robots():
            self.robot_digest = None
        self._choose()

    def _choose(self) -> None:
        """Load what stands at the chosen robot and episode, unless it plays already."""
        if self.recordings is None:
            return
        if self.robot_digest is None:
            self.robot_digest = self.recordings.first_robot()
        pairs = self.recordings.pairs(self.robot_digest) if self.robot_digest else []
        self.episode = max(0, min(self.episode, len(pairs) - 1))
        chosen = pairs[self.episode] if pairs else ()
        if chosen == self._shown and (chosen or self.films == ()):
            if not chosen:
                self._show_nothing()
            return
        self._shown = chosen
        if chosen:
            self.look(lambda: _loaded(chosen), self._show_films)
        else:
            self._show_nothing()

    def _show_films(self, loaded: tuple[tuple[Film, ...], str]) -> None:
        films, problem = loaded
        if problem:
            self._show_nothing(problem)
            self.say(problem, "warn")
        elif tuple(film.recording for film in films) == self._shown:
            self._play(films)  # films that were left for others meanwhile are not shown

    def _show_nothing(self, sentence: str = "") -> None:
        self.films = ()
        sentence = sentence or rows.nothing_sentence(
            self.recordings, self.cockpit.watched_run, self.robot_digest
        )
        self.title_rule.set(title=self.wanted_robot_name or "Watch", facts="")
        for stage in self.stages:
            stage.display = stage is self.stages[0]
            stage.show_film(None, sentence)
        self.query_one(Divider).display = False
        self.clock_rule.set(title="", facts="")
        self.timeline.show([])
        self.show_keys()

    def _play(self, films: tuple[Film, ...]) -> None:
        self.films = films
        self.player.start(max(film.duration_s for film in films))
        self.player.held = False
        for stage, film in zip(self.stages, films, strict=False):
            stage.set_look(self._drawing, self.view)
            stage.show_film(film)
        self._lay_out()
        self._drawn_at = time.monotonic()
        self.rate.restart()
        self._first_frame = True
        self._draw()
        self.show_words()
        self.show_keys()

    def on_resize(self) -> None:
        self._lay_out()

    @property
    def _on_stage(self) -> list[int]:
        """Which of the two stages play; one alone is larger and moves more often."""
        if len(self.films) < 2:
            return list(range(len(self.films)))
        return [0, 1] if self.alone is None else [self.alone]

    def _lay_out(self) -> None:
        """Two stages are equally wide, so that robots are equally large on both."""
        shown = self._on_stage or [0]  # the first one says why there is nothing
        two = len(shown) == 2 and not self.has_class("-narrow")
        self.query_one(Divider).display = len(shown) == 2
        for index, stage in enumerate(self.stages):
            stage.display = index in shown
            stage.styles.width = max(1, (self.size.width - 1) // 2) if two else "100%"

    @property
    def _drawing(self) -> Drawing:
        return Drawing.of(self.cockpit.preferences.get("drawing", ""))

    def _pace(self) -> None:
        """Tick as often as the terminal can be sent frames."""
        one = len(self._on_stage) < 2 or self.has_class("-narrow")
        best = self.rate.best(highest_rate(one, self.app.theme in ("terminal", "mono")))
        if best == self._frames_per_s and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.stop()
        self._frames_per_s = best
        self._timer = self.set_interval(1.0 / best, self._frame_due)

    def _frame_due(self) -> None:
        now = time.monotonic()
        elapsed_s, self._drawn_at = now - self._drawn_at, now
        hidden = not self.is_active or not self.app.app_focus
        if hidden or not self.films or self.player.held:
            return
        self.player.advance(min(elapsed_s, 1.0))
        sent = meter_of(self.app).total_bytes
        cost, self._bytes_before = sent - self._bytes_before, sent
        if not self._first_frame:  # the first one repaints the screen
            self.rate.note(cost)
            self.bucket.pay(cost)
        self._first_frame = False
        if not self.bucket.can_pay():
            return
        self._draw()
        if now - self._words_at >= _WORDS_EVERY_S or self.player.held:
            self.show_words()
            self._pace()

    def _draw(self) -> None:
        for index in self._on_stage:
            moment = self.films[index].moment_at(self.player.time_s)
            self.stages[index].show_moment(moment, self.follow)

    def show_words(self) -> None:
        """Write the numbers, the clock and the timeline; less often than frames."""
        if not self.films or self.recordings is None:
            return
        self._words_at = time.monotonic()
        player, first = self.player, self.films[0]
        for stage, film in zip(self.stages, self.films, strict=False):
            stage.show_words(film, player.time_s)
        pairs = self.recordings.pairs(first.recording.robot_digest)
        header = first.poses.header
        self.wanted_robot_name = first.recording.robot_name
        recorder = self.recordings.recorder_of(first.recording.robot_digest)
        unusual = rows.camera_words(recorder, self.view, self.follow)
        episode = f"episode {self.episode + 1} of {len(pairs)}"
        self.title_rule.set(*rows.title_words(header, unusual, episode, self.title_rule.size.width))
        self.clock_rule.set(*rows.clock_words(player, self._frames_per_s, meter_of(self.app)))
        share = player.time_s / player.duration_s if player.duration_s else 0.0
        self.timeline.show_place(share, first.moment_at(player.time_s))

    def _jump_to(self, time_s: float) -> None:
        if not self.films:
            return
        self.player.seek(time_s)
        self._draw()
        self.show_words()

    def on_timeline_sought(self, message: Timeline.Sought) -> None:
        self._jump_to(message.share * self.player.duration_s)

    def action_hold(self) -> None:
        if self.films:
            self.player.toggle()
            self._drawn_at = time.monotonic()
            self.show_words()
            self.show_keys()

    def action_frame(self, steps: int) -> None:
        if self.films:
            self.player.held = True
            step_s = self.films[0].poses.header.control_timestep_s
            self._jump_to(self.player.time_s + steps * step_s)
            self.show_keys()

    def action_seconds(self, seconds: int) -> None:
        self._jump_to(self.player.time_s + seconds)

    def action_speed(self, steps: int) -> None:
        if self.films:
            self.player.change_speed(steps)
            self.show_words()

    def action_follow(self) -> None:
        if self.films:
            self.follow = not self.follow
            self._draw()
            self.show_words()

    def action_view(self) -> None:
        self.view = next_of(VIEWS, self.view)
        self._relook()

    def action_drawing(self) -> None:
        self.cockpit.preferences.set("drawing", str(self._drawing.following))
        self._relook()

    def _relook(self) -> None:
        for stage in self.stages:
            stage.set_look(self._drawing, self.view)
        self._draw()
        self.show_words()

    def action_reset(self) -> None:
        self.follow, self.view, self.player.speed = True, VIEWS[0], 1.0
        self._relook()
        self._jump_to(0.0)

    def action_episode(self, step: int) -> None:
        self.episode += step
        self._choose()

    def action_robot(self, step: int) -> None:
        robots = self.recordings.robots() if self.recordings is not None else []
        if not robots:
            return
        place = robots.index(self.robot_digest) + step if self.robot_digest in robots else 0
        self.robot_digest, self.episode = robots[place % len(robots)], 0
        self._choose()

    def action_other_stage(self) -> None:
        """Both, each one alone, both again; where only one fits, the other one."""
        if len(self.films) < 2:
            only = "only one policy is recorded in this episode"
            self.say(f"tab: {only if self.films else 'nothing plays'}")
        elif self.has_class("-narrow"):
            self.toggle_class("-second")
        else:
            self.alone = {None: 0, 0: 1, 1: None}[self.alone]
            self._lay_out()
            self.rate.restart()
            self._first_frame = True
            self.call_after_refresh(self._jump_to, self.player.time_s)

    def action_record(self) -> None:
        if not self.may_act():
            return
        if self.robot_digest is None:
            self.say("R records the robot you came from: choose one on Robots (3), then w")
            return
        from hdtui.actions.evaluate import TASKS, EvaluationRequest, record_robot

        watched_run = self.cockpit.watched_run
        headers = [film.poses.header for film in self.films]
        policies = [header.policy_run_id for header in headers if header.policy_run_id is not None]
        if headers and not policies:
            names = " and ".join(printable(header.policy) for header in headers)
            self.say(f"R: no run made {names}; e on Robots (3) evaluates and records others")
            return
        wanted = EvaluationRequest(tuple(policies), (self.robot_digest,), episodes=1)
        task = next((task for header in headers[:1] for task in TASKS if task == header.task), None)
        if task is not None:
            wanted = replace(wanted, task=task, seed=self._unseen_seed())
        self.command(lambda database: record_robot(database, wanted, watched_run))

    def _unseen_seed(self) -> int:
        """A seed of which no walk is recorded on this robot: the same one would be the same."""
        digest, episodes = self.robot_digest, self.recordings.episodes if self.recordings else ()
        seeds = [each.seed or 0 for each in episodes if each.robot_digest == digest]
        return max(seeds, default=0) + 1


def _loaded(chosen: tuple[Recording, ...]) -> tuple[tuple[Film, ...], str]:
    """The films of recordings; none, and why, where a file cannot be read."""
    try:
        return load_films(chosen), ""
    except DatasetError as error:
        return (), str(error)
