"""What Watch says: about the camera, the clock, and why there is nothing to see."""

from hdtui.canvas.camera import VIEWS, View
from hdtui.formatting import measure
from hdtui.services.player import Player
from hdtui.services.watch import Recordings
from hdtui.widgets.meter import ByteMeter


def camera_words(recordings: Recordings, view: View, follow: bool) -> list[str]:
    """What is not as usual: a worker that is recording, another view, a camera that stands."""
    words = [f"{run.id} is recording" for run in recordings.working[:1]]
    words += [] if view is VIEWS[0] else [view.name]
    return words if follow else [*words, "camera stands"]


def clock_words(player: Player, frames_per_s: int, meter: ByteMeter | None) -> tuple[str, str]:
    """Where the film stands; how fast it goes, and what it costs to send."""
    place = f"{player.time_s:.1f} of {player.duration_s:.1f} s"
    sent = f" · {meter.bytes_per_s() / 1024:.1f} KiB/s" if meter is not None else ""
    speed = f"speed {measure_speed(player.speed)} · {frames_per_s} fps{sent}"
    return f"{'held at' if player.held else '►'} {place}", speed


def measure_speed(speed: float) -> str:
    """A playing speed: 1x, 0.25x."""
    return f"{measure(speed).rstrip('0').rstrip('.')}x"


def nothing_sentence(
    recordings: Recordings | None, watched_run: int | None, robot_digest: str | None
) -> str:
    """Why there is nothing to watch, and which key changes that."""
    if recordings is not None and recordings.working:
        number = recordings.working[0].id
        return f"{number} evaluation is at work: what it records shows here, robot by robot."
    if watched_run is not None:
        return f"No episode of {watched_run} is recorded yet. Choose a robot on Robots (3), then e."
    if robot_digest:
        return "Nothing to watch on this robot yet. R records teacher and student on it."
    return "Nothing to watch yet. Mark robots on Robots (3), then e evaluates and records."
