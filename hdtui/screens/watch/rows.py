"""What Watch says: about the camera, the clock, and why there is nothing to see."""

from collections.abc import Sequence

from engine.morphology.poses import PosesHeader
from hdtui.canvas.camera import VIEWS, View
from hdtui.data.player import Player
from hdtui.data.watch import RecordedEpisodes
from hdtui.formatting import measure, shorten
from hdtui.terminal.meter import ByteMeter

RULE_CELLS = 7
"""What a rule puts around its title and facts."""
MOST_NAME_CELLS, LEAST_NAME_CELLS = 40, 12


def camera_words(recorder: int | None, view: View, follow: bool) -> list[str]:
    """What is not as usual: a worker that is recording, another view, a camera that stands."""
    words = [] if recorder is None else [f"{recorder} is recording"]
    words += [] if view is VIEWS[0] else [view.name]
    return words if follow else [*words, "camera stands"]


def title_words(
    header: PosesHeader, unusual: Sequence[str], episode: str, width: int
) -> tuple[str, str]:
    """Robot, task and seed, and the facts at their right, for a rule of ``width`` cells.

    The name is shortened. Where its ends alone have no room, what is unusual goes, the first first,
    then the seed, then the task.
    """
    room, told = width - RULE_CELLS, [*unusual, episode]
    while len(told) > 1 and room - len(" · ".join(told)) < LEAST_NAME_CELLS:
        told.pop(0)
    facts = " · ".join(told)
    room, rest = room - len(facts), ["", header.task, f"seed {header.seed}"]
    while len(rest) > 1 and room - len(" · ".join(rest)) < LEAST_NAME_CELLS:
        rest.pop()
    words = " · ".join(rest)
    name = shorten(header.robot_name, max(1, min(MOST_NAME_CELLS, room - len(words))))
    return f"{name}{words}", facts


def clock_words(player: Player, frames_per_s: int, meter: ByteMeter) -> tuple[str, str]:
    """Where the film stands; how fast it goes, and what it costs to send."""
    place = f"{player.time_s:.1f} of {player.duration_s:.1f} s"
    sent = f"{meter.bytes_per_s() / 1024:.1f} KiB/s"
    speed = f"speed {measure_speed(player.speed)} · {frames_per_s} fps · {sent}"
    return f"{'held at' if player.held else '►'} {place}", speed


def measure_speed(speed: float) -> str:
    """A playing speed: 1x, 0.25x."""
    return f"{measure(speed).rstrip('0').rstrip('.')}x"


def nothing_sentence(
    recordings: RecordedEpisodes | None, watched_run: int | None, robot_digest: str | None
) -> str:
    """Why there is nothing to watch, and which key changes that."""
    recorder = recordings.recorder_of(robot_digest) if recordings is not None else None
    if recorder is not None:
        return f"{recorder} evaluation is at work: what it records shows here, robot by robot."
    if watched_run is not None:
        return f"No episode of {watched_run} is recorded yet. Choose a robot on Robots (3), then e."
    if robot_digest:
        return "Nothing to watch on this robot yet. R records teacher and student on it."
    return "Nothing to watch yet. Mark robots on Robots (3), then e evaluates and records."
