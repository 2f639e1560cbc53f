"""Keys, sizes, clicks, a moving pipeline and a failing workspace at random; what must always hold.

An episode is a list of steps in one cockpit over one workspace. One that fails is cut down to the
few steps that still fail, and printed so that it can be played again:

    .venv/bin/python tests/cockpit/cockpit_fuzz.py --steps 10000 --seed 1
    .venv/bin/python tests/cockpit/cockpit_fuzz.py --replay story '[["key", "2"], ["size", 50, 15]]'
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path += [
    str(Path(__file__).parents[1] / other) for other in (".", "terminal", "cockpit_robots")
]

import cockpit_story
import hostile_workspace
import library
from database_rows import create_pipeline
from rich.cells import cell_len
from textual.events import AppBlur, AppFocus, Click, Key, MouseScrollDown, Paste, Resize
from textual.geometry import Size
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Input

from db.models import RunRow
from db.queries.metrics import NewPoint, append_points
from db.queries.runs import insert_event, list_runs, queue_run
from db.records import NewRun, RunKind
from db.session import Database
from engine.errors import HdtuiError
from engine.morphology.generation import generate
from engine.workers import commands
from engine.workers.supervisor import stand_in
from engine.workers.workspace import Workspace
from hdtui.app import CockpitApp
from hdtui.demo.world import build
from hdtui.screens.home.screen import HomeScreen
from hdtui.screens.shell import CockpitScreen

Step = tuple[Any, ...]
KINDS = ("story", "hostile", "demo", "empty")
EPISODE_STEPS = 100
LOOK_EVERY = 10
PATIENCE_S = 20.0
"""Far more than anything takes: longer is frozen."""
LEAVING = ("q", "ctrl+c", "ctrl+q")
COMMON_KEYS = (
    *("1", "2", "3", "4", "5", "6", "7", "j", "k", "down", "up", "enter", "escape", "space", "tab"),
    *("left_square_bracket", "right_square_bracket", "slash", "c", "n", "question_mark"),
)
OTHER_KEYS = (
    *("shift+tab", "left", "right", "home", "end", "pageup", "pagedown", "plus", "minus", "0"),
    *("a", "b", "d", "e", "f", "g", "h", "i", "l", "m", "o", "p", "r", "s", "t", "u", "v", "w"),
    *(
        "x",
        "y",
        "z",
        "A",
        "C",
        "D",
        "E",
        "K",
        "L",
        "R",
        "S",
        "W",
        "X",
        "Z",
        "9",
        "asterisk",
        "ctrl+a",
    ),
    *("ctrl+p", "colon", "ctrl+l", "comma", "full_stop", "backspace", "delete", "ctrl+u", "f1"),
)
TEXTS = (
    *("kind:student return>", "state:running", "retrun>3", "xyzzy", "-3e-4", "1", "99999999999"),
    *("laptop", "/nonexistent/folder", "学習", "e\u0301", "[red]x[/]", "\u202eabc", "a" * 300),
)
MARKED = (("key", "2"), ("key", "asterisk"), ("key", "c"), ("key", "5"))
WORLD = (
    *("points", "points", "points", "odd points", "event", "state", "state", "queue", "pipeline"),
    *("rename", "delete", "log", "log gone", "folder gone", "film gone", "report"),
)
OUTAGES = ("lock", "gone", "replace", "garbage")


class BrokenError(AssertionError):
    """Something that must always hold did not; after how many steps."""

    def __init__(self, words: str, num_steps: int) -> None:
        super().__init__(words)
        self.num_steps = num_steps


class World:
    """The workspace under the cockpit, as workers, other people and accidents change it."""

    def __init__(self, home: Path, kind: str) -> None:
        self.home = home
        self.file = home / "hdtui.db"
        self.disturbed_at = float("-inf")
        self._held: sqlite3.Connection | None = None
        if kind != "empty":
            shutil.copytree(_template(kind), home, dirs_exist_ok=True)
        self._lock = None
        if kind != "empty":
            with self.database() as database:
                self._lock = stand_in(database)

    def close(self) -> None:
        """Give the database back, and let go of what is held."""
        self.restore()
        if self._lock is not None:
            os.close(self._lock)

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        database = Database.open(self.home)
        try:
            yield database
        finally:
            database.close()

    def move(self, what: str, seed: int) -> None:
        """Let something happen; in an empty workspace, or during an outage, nothing does."""
        if not self.file.exists() or self.disturbed:
            return
        draw = random.Random(seed)
        with contextlib.suppress(HdtuiError), self.database() as database:
            runs = list_runs(database)
            if runs or what in ("queue", "pipeline"):
                getattr(self, f"_{what.replace(' ', '_')}")(database, runs, draw)

    def _points(self, database: Database, runs: Sequence[Any], draw: random.Random) -> None:
        active = [run for run in runs if run.state.active] or runs
        self._append(database, draw.choice(active).id, draw, [draw.gauss(500, 300)])

    def _odd_points(self, database: Database, runs: Sequence[Any], draw: random.Random) -> None:
        odd = (float("nan"), float("inf"), float("-inf"), 1e39, -1e300, 5e-324)
        self._append(database, draw.choice(runs).id, draw, draw.sample(odd, 3))

    def _append(
        self, database: Database, run_id: int, draw: random.Random, values: Sequence[float]
    ) -> None:
        first = time.time_ns() // 1000 % 10**12
        names = draw.sample(("return", "loss", "falls", "share_update", "value_loss"), 2)
        points = [
            NewPoint(name, "", first + place, place, 1e3, value)
            for name in names
            for place, value in enumerate(values)
        ]
        with database.write() as session:
            append_points(session, run_id, points)

    def _event(self, database: Database, runs: Sequence[Any], draw: random.Random) -> None:
        with database.write() as session:
            level = draw.choice(("info", "warning", "error"))
            insert_event(session, draw.choice(runs).id, level, "note", hostile_workspace.HOSTILE)

    def _state(self, database: Database, runs: Sequence[Any], draw: random.Random) -> None:
        state = draw.choice(("queued", "running", "stopping", "finished", "failed", "lost"))
        facts: dict[str, Any] = {"state": state, "done": draw.random() * 1e6}
        facts |= cockpit_story.alive() if state in ("running", "stopping") else {}
        cockpit_story.change(database, draw.choice(runs).id, **facts)

    def _report(self, database: Database, runs: Sequence[Any], draw: random.Random) -> None:
        total = draw.choice((None, 0.0, 1e6))
        cockpit_story.change(database, draw.choice(runs).id, done=draw.random() * 2e6, total=total)

    def _queue(self, database: Database, _: Sequence[Any], draw: random.Random) -> None:
        kind = draw.choice(list(RunKind))
        queue_run(database, NewRun(kind, f"{kind}-{draw.random()}", {}, seed=1))

    def _pipeline(self, database: Database, _: Sequence[Any], draw: random.Random) -> None:
        pipeline = create_pipeline(database, "new", "quick", "unimal8", draw.randrange(9))
        for kind in draw.sample(list(RunKind), 3):
            queue_run(database, NewRun(kind, "new", {}, seed=1, pipeline=pipeline.id))

    def _rename(self, database: Database, runs: Sequence[Any], draw: random.Random) -> None:
        name = draw.choice((hostile_workspace.HOSTILE, "", "学習" * 40, "x" * 5000))
        with database.write() as session:
            session.get_one(RunRow, draw.choice(runs).id).name = name

    def _delete(self, database: Database, runs: Sequence[Any], draw: random.Random) -> None:
        commands.delete(database, Workspace(self.home), [draw.choice(runs).id])

    def _log(self, _: Database, runs: Sequence[Any], draw: random.Random) -> None:
        folder = self.home / "runs" / str(draw.choice(runs).id)
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError), (folder / "log.txt").open("ab") as file:
            file.write(draw.choice((b"14:31:02 info  line\n" * 40, b"\xff\x00" * 3000, b"")))

    def _log_gone(self, _: Database, runs: Sequence[Any], draw: random.Random) -> None:
        log = self.home / "runs" / str(draw.choice(runs).id) / "log.txt"
        if log.is_file():
            log.unlink()
            if draw.random() < 0.5:
                log.mkdir()

    def _folder_gone(self, _: Database, runs: Sequence[Any], draw: random.Random) -> None:
        shutil.rmtree(self.home / "runs" / str(draw.choice(runs).id), ignore_errors=True)

    def _film_gone(self, _: Database, __: Sequence[Any], draw: random.Random) -> None:
        films = sorted(self.home.glob("runs/*/*.safetensors"))
        if films:
            film = draw.choice(films)
            if draw.random() < 0.5:
                film.unlink()
            else:
                film.write_bytes(film.read_bytes()[: draw.randrange(200)])

    @property
    def disturbed(self) -> bool:
        """The database is held or gone."""
        return self._held is not None or (self.home / "kept.db").exists()

    def disturb(self, how: str) -> None:
        """Take the database away, one way or another, or give it back."""
        if not self.file.exists() and not self.disturbed:
            return
        self.disturbed_at = time.monotonic()
        if self.disturbed:
            self.restore()
        elif how == "lock":
            self._held = sqlite3.connect(self.file, isolation_level=None, timeout=5)
            with contextlib.suppress(sqlite3.OperationalError):
                self._held.execute("BEGIN EXCLUSIVE")
        else:
            with self.database() as database:
                database.backup(self.home / "kept.db")
            if how == "gone":
                self.file.unlink()
            elif how == "garbage":
                self.file.write_bytes(b"no database at all" * 300)
            else:
                self._put(_template("hostile") / "hdtui.db")

    def restore(self) -> None:
        """Give the database back."""
        if self._held is not None:
            self._held.close()
            self._held = None
        if (self.home / "kept.db").exists():
            self._put(self.home / "kept.db")
            (self.home / "kept.db").unlink()

    def _put(self, source: Path) -> None:
        for part in ("-wal", "-shm"):
            (self.home / f"hdtui.db{part}").unlink(missing_ok=True)
        shutil.copyfile(source, self.home / "next.db")
        (self.home / "next.db").replace(self.file)


_TEMPLATES: dict[str, Path] = {}


def _template(kind: str) -> Path:
    """A workspace of a kind, made once."""
    if kind not in _TEMPLATES:
        home = Path(tempfile.mkdtemp(prefix=f"hdtui-fuzz-{kind}-"))
        if kind == "hostile":
            hostile_workspace.fill(home)
        elif kind == "demo":
            build(home)
        else:
            ids = cockpit_story.fill(home)
            database, robots = Database.open(home), generate(3, 3)
            library.add_robots(database, robots, "three")
            for policy, run_id in (("teacher", ids["old teacher"]), ("student", ids["student"])):
                film = library.walking(robots[0], steps=60, policy=policy)
                library.add_film(database, ids["evaluation"], film, run_id)
            database.close()
        _TEMPLATES[kind] = home
    return _TEMPLATES[kind]


def forget_templates() -> None:
    """Remove what the workspaces were copied from."""
    for home in _TEMPLATES.values():
        shutil.rmtree(home, ignore_errors=True)
    _TEMPLATES.clear()


def some_steps(draw: random.Random, count: int = EPISODE_STEPS) -> list[Step]:
    """Steps of an episode."""
    kinds: dict[Callable[[random.Random], list[Step]], int] = {
        lambda d: [("key", d.choice(COMMON_KEYS))]: 40,
        lambda d: [("key", d.choice(OTHER_KEYS))]: 26,
        lambda d: [("key", d.choice(("slash", "n", "ctrl+p", "t"))), _text(d)]: 4,
        lambda d: d.sample(MARKED, d.randint(2, 4)): 2,
        lambda d: [("size", *_size(d))]: 8,
        lambda d: [("world", d.choice(WORLD), d.randrange(10**6))]: 12,
        lambda d: [("disturb", d.choice(OUTAGES))]: 1,
        lambda d: [(d.choice(("blur", "focus")),)]: 2,
        lambda d: [(d.choice(("click", "scroll")), d.random(), d.random())]: 3,
        lambda d: [("paste", d.choice(TEXTS))]: 2,
    }
    steps: list[Step] = []
    while len(steps) < count:
        steps += draw.choices(list(kinds), list(kinds.values()))[0](draw)
    return steps[:count]


def _text(draw: random.Random) -> Step:
    return ("text", draw.choice(TEXTS))


def _size(draw: random.Random) -> tuple[int, int]:
    """Mostly near the sizes at which the layout changes."""
    if draw.random() < 0.3:
        return draw.randint(1, 220), draw.randint(1, 70)
    width = draw.choice((50, 59, 60, 79, 80, 119, 120, 180))
    return width, draw.choice((12, 17, 18, 23, 24, 29, 30, 45))


class Player:
    """Plays the steps of an episode on a cockpit, and looks whether all is well."""

    def __init__(self, pilot: Pilot[Any], world: World) -> None:
        self.app: Any = pilot.app
        self.world = world

    async def play(self, step: Step) -> None:
        what, *facts = step
        app = self.app
        if what == "key":
            self._press(facts[0])
        elif what == "text":
            for letter in facts[0][:40]:
                app.post_message(Key(letter, letter))
        elif what == "paste":
            app.post_message(Paste(facts[0]))
        elif what == "size":
            size = Size(*facts)
            app._driver._size = (size.width, size.height)
            app.post_message(Resize(size, size))
        elif what == "world":
            self.world.move(*facts)
        elif what == "disturb":
            self.world.disturb(facts[0])
        elif what in ("blur", "focus"):
            app.post_message(AppBlur() if what == "blur" else AppFocus())
        else:
            self._point(what, *facts)
        await self.settle(step)

    def _press(self, key: str) -> None:
        named = {"space": " ", "slash": "/", "asterisk": "*", "plus": "+", "minus": "-"}
        named |= {"comma": ",", "full_stop": ".", "colon": ":", "question_mark": "?"}
        named |= {"left_square_bracket": "[", "right_square_bracket": "]", "enter": "\r"}
        self.app.post_message(Key(key, key if len(key) == 1 else named.get(key)))

    def _point(self, what: str, across: float, down: float) -> None:
        x, y = int(across * self.app.size.width), int(down * self.app.size.height)
        kind = Click if what == "click" else MouseScrollDown
        with contextlib.suppress(Exception):  # nothing is there
            widget, region = self.app.screen.get_widget_at(x, y)
            place = (x - region.x, y - region.y, 0, 0, 1, False, False, False, x, y)
            widget.post_message(kind(widget, *place))

    async def settle(self, step: Step) -> None:
        """Wait until the keys before were heard and what they caused is done."""
        deadline = time.monotonic() + PATIENCE_S
        for _ in range(3):
            await asyncio.sleep(0)
        while self.app.gate._held or not self.app._message_queue.empty():
            if self.app._exit:
                raise AssertionError(f"{step} ended the cockpit")
            if time.monotonic() > deadline:
                raise AssertionError(f"keys wait for ever: {self._gate()}")
            await asyncio.sleep(0.002)

    async def look(self) -> None:
        """Alive, without a mistake, the focus on something that is seen, keys are answered."""
        app = self.app
        if not app.app_focus:
            await self.play(("focus",))
        await self.until(lambda: not self._focus_problem(), self._focus_problem)
        assert not app._exit, "the cockpit has left"
        assert app.cockpit.mistakes.count == 0, self._mistake()
        await self.until(lambda: not self._drawing_problem(), self._drawing_problem)
        await self._answers()

    def _drawing_problem(self) -> str:
        rows = [strip.text for strip in self.app.screen._compositor.render_strips()]
        wrong = [row for row in rows if cell_len(row) != self.app.size.width]
        if wrong or len(rows) != self.app.size.height:
            return f"{len(rows)} rows, not of the size {self.app.size}: {wrong[:2]}"
        drawn = {letter for row in rows for letter in row}
        odd = [letter for letter in drawn if letter < " " or letter in "\x7f\x9b\u202e"]
        return f"control characters are drawn: {odd}" if odd else ""

    def _mistake(self) -> str:
        log = self.app.cockpit.mistakes.log
        return f"a mistake was logged: {log.read_text()[-3000:] if log else '?'}"

    def _focus_problem(self) -> str:
        app = self.app
        screen = app.screen
        if isinstance(screen, ModalScreen) and (app.size.width < 60 or app.size.height < 18):
            return ""  # no dialog has a place there
        focused = screen.focused
        seen = [each for each in screen.focus_chain if each.region.area]
        if focused is None:
            return f"nothing of {seen} has the focus on {screen}" if seen else ""
        on_screen = focused.region.overlaps(screen.region) if focused.region.area else False
        if not (focused.is_attached and on_screen and focused in screen.focus_chain):
            return f"{focused} has the focus and is not seen on {screen} ({focused.region})"
        return ""

    async def _answers(self) -> None:
        """A letter that means nothing is answered; in a field it would be typed."""
        screen = self.app.screen
        if not isinstance(screen, CockpitScreen) or isinstance(screen.focused, Input):
            return
        told: list[str] = []
        say = screen.say

        def hear(text: str, role: str = "text") -> None:
            told.append(text)
            say(text, role)

        with patch.object(screen, "say", hear):
            self._press("Z")
            await self.until(
                lambda: (
                    any(text.startswith("Z: ") for text in told)
                    or not screen.is_active
                    or isinstance(screen.focused, Input)
                ),  # the key before has just opened a field
                lambda: f"{screen} answers no key, but {told}; {self._gate()}",
            )

    def _gate(self) -> str:
        gate = self.app.gate
        keys, focused = [key.key for key in gate._held], self.app.focused
        return f"closed {gate.closed}, ready {gate._ready}, held {keys}, focus {focused}"

    async def until(self, holds: Callable[[], bool], words: Callable[[], str]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(words())
            await asyncio.sleep(0.005)

    async def newest(self) -> None:
        """What was written last is drawn: the counts of row 1, on Home the runs and the curve."""
        if self.world.disturbed or time.monotonic() - self.world.disturbed_at < 60:
            return
        screen = self.app.screen
        if not self.world.file.exists() or not isinstance(screen, CockpitScreen):
            return
        with self.world.database() as database:
            runs = list_runs(database)
            total = len(runs)
        await self.until(
            lambda: screen.tab_row.counts.total == total or self.app.screen is not screen,
            lambda: f"row 1 counts {screen.tab_row.counts}, the database {total}",
        )
        if isinstance(screen, HomeScreen) and screen.facts is not None:
            await self._newest_curve(screen)

    async def _newest_curve(self, screen: HomeScreen) -> None:
        run_id = screen._split_run()
        if run_id is None or not screen.has_class("roomy") or screen.app.size.height < 30:
            return
        step = time.time_ns() // 1000 % 10**12
        with self.world.database() as database, database.write() as session:
            append_points(session, run_id, [NewPoint("return", "", step, 1, 1.0, 600.0)])

        def drawn() -> bool:
            spec = screen.chart.spec
            ends = [curve.path.x[-1] for curve in spec.curves if len(curve.path)] if spec else []
            moved = self.app.screen is not screen or screen._split_run() != run_id
            return moved or not ends or step in ends

        await self.until(drawn, lambda: f"the curve of {run_id} stands still before {step}")

    async def leave(self, key: str) -> None:
        """Out of whatever stands there, or opens just then, and away."""
        self.world.restore()
        deadline = time.monotonic() + PATIENCE_S
        while not self.app._exit:
            assert time.monotonic() < deadline, f"{key} does not leave {self.app.screen}"
            covered = isinstance(self.app.screen, ModalScreen)
            if key == "q" and (covered or isinstance(self.app.focused, Input)):
                self._press("escape")
            else:
                self._press(key)
            for _ in range(50):
                await asyncio.sleep(0 if self.app._exit else 0.01)


@contextlib.contextmanager
def sealed() -> Iterator[None]:
    """No key starts a process or signals one."""

    def refuse(*_: object, **__: object) -> Any:
        raise OSError("no process is started here")

    with (
        patch.object(subprocess, "Popen", refuse),
        patch("engine.workers.process._send", lambda *_: False),
    ):
        yield


def _scratch() -> "tempfile.TemporaryDirectory[str]":
    """A folder for an episode; a thread that still reads may put something into it at the end."""
    return tempfile.TemporaryDirectory(prefix="hdtui-fuzz-", ignore_cleanup_errors=True)


async def play(kind: str, steps: Sequence[Step], key: str = "q") -> None:
    """Play an episode in a workspace of a kind.

    Raises:
        BrokenError: Something did not hold.
    """
    with _scratch() as folder, sealed():
        home = Path(folder) / "home"
        home.mkdir()
        world, done = World(home, kind), 0
        app = CockpitApp(home)
        try:
            async with app.run_test(size=(100, 30)) as pilot:
                player = Player(pilot, world)
                await player.until(lambda: app._opened, lambda: "the workspace is never read")
                for done, step in enumerate(steps, start=1):
                    await player.play(step)
                    if done % LOOK_EVERY == 0 or done == len(steps):
                        await player.look()
                await player.look()
                await player.newest()
                await player.leave(key)
        except AssertionError as error:
            raise BrokenError(str(error), done) from None
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is cut down and shown
            words = "".join(traceback.format_exception(error, chain=False)[-4:])
            raise BrokenError(words, done) from None
        finally:
            world.close()
            app.cockpit.store.close()


async def shortened(
    kind: str, steps: Sequence[Step], key: str, tries: int = 40
) -> tuple[list[Step], str]:
    """Fewer steps that still break something, and what they break."""
    best, words = list(steps), ""

    async def breaks(some: list[Step]) -> bool:
        nonlocal best, words
        try:
            await play(kind, some, key)
        except BrokenError as error:
            best, words = some[: max(1, error.num_steps)], str(error)
            return True
        return False

    size = max(1, len(best) // 2)
    while tries > 0:
        cut, found = 0, False
        while cut < len(best) and tries > 0:
            tries -= 1
            if await breaks([*best[:cut], *best[cut + size :]]):
                found = True
            else:
                cut += size
        if size == 1 and not found:
            break
        size = max(1, size // 2)
    return best, words


async def fuzz(seed: int, num_steps: int, say: Callable[[str], object]) -> int:
    """Play episodes of a seed, told where one breaks; how many did."""
    draw, broken = random.Random(seed), 0
    for episode in range(-(-num_steps // EPISODE_STEPS)):
        if episode % 20 == 19:
            say(f"seed {seed}: {episode * EPISODE_STEPS} steps, {broken} broken")
        kind, key = draw.choices(KINDS, (6, 3, 2, 1))[0], draw.choice((LEAVING[0], *LEAVING))
        steps = some_steps(draw)
        try:
            await play(kind, steps, key)
        except BrokenError as error:
            broken += 1
            say(f"seed {seed}, episode {episode}, step {error.num_steps}: {error}")
            few, words = await shortened(kind, steps[: max(1, error.num_steps)], key)
            say(f"{words or 'not broken when played again'}\n  {replay(kind, few, key)}")
    say(f"seed {seed}: {num_steps} steps, {broken} broken")
    return broken


def replay(kind: str, steps: Sequence[Step], key: str) -> str:
    """The command that plays these steps again."""
    name = Path(__file__).name
    return f"tests/cockpit/{name} --leave {key} --replay {kind} '{json.dumps(list(steps))}'"


def main() -> int:
    def say(words: str) -> None:
        sys.stdout.write(f"{words}\n")
        sys.stdout.flush()

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--leave", default="q")
    parser.add_argument("--replay", nargs=2, metavar=("KIND", "STEPS"))
    asked = parser.parse_args()
    try:
        if asked.replay:
            steps = [tuple(step) for step in json.loads(asked.replay[1])]
            asyncio.run(play(asked.replay[0], steps, asked.leave))
            return 0
        broken = [asyncio.run(fuzz(seed, asked.steps, say)) for seed in asked.seed]
        return int(any(broken))
    finally:
        forget_templates()


if __name__ == "__main__":
    sys.exit(main())
