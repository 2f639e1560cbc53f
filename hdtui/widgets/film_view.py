"""One policy on stage: whose it is, the robot, and what it has reached so far."""

from textual.app import ComposeResult
from textual.containers import Vertical

from hdtui.canvas.camera import View
from hdtui.canvas.picture import Drawing
from hdtui.data.watch import Film
from hdtui.formatting import episode_return
from hdtui.widgets.bars import sparkline
from hdtui.widgets.lines import Lines, Span
from hdtui.widgets.robot_canvas import RobotCanvas

_SPARK_CELLS = 16


class Stage(Vertical):
    """A title row, the canvas, three rows of numbers."""

    DEFAULT_CSS = """
    Stage { height: 1fr; width: 1fr; }
    Stage > Lines { height: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.heading = Lines([()])
        self.canvas = RobotCanvas()
        self.numbers = Lines([(), (), ()])

    def compose(self) -> ComposeResult:
        yield self.heading
        yield self.canvas
        yield self.numbers

    def show_film(self, film: Film | None, sentence: str = "") -> None:
        """Put an episode on stage, or the sentence that says why there is none."""
        self.canvas.set_poses(film.poses if film else None, sentence)
        if film is None:
            self.heading.show([()])
            self.numbers.show([(), (), ()])
        else:
            self.show_words(film, 0.0)

    def set_look(self, drawing: Drawing, view: View) -> None:
        """Draw it otherwise or from elsewhere."""
        self.canvas.set_look(drawing, view)

    def show_moment(self, moment: int, follow: bool) -> None:
        """Draw a moment of the episode."""
        self.canvas.show_moment(moment, follow)

    def show_words(self, film: Film, time_s: float) -> None:
        """Write whose episode it is and what it has reached at ``time_s``."""
        moment = film.moment_at(time_s)
        header = film.poses.header
        whose = f" {header.policy}" + (f" {header.policy_run_id}" if header.policy_run_id else "")
        fell = f" · fell at {film.duration_s:.1f} s" if film.fell_before(time_s) else ""
        self.heading.show([(Span(whose, "bold"), Span(fell, "warn"))])
        distance_m = film.head[moment, 0] - film.head[0, 0]
        reached = (
            Span(" return ", "muted"),
            Span(episode_return(float(film.returns[moment])).rjust(5)),
            Span(f"{film.speeds_m_s[moment]:8.2f}"),
            Span(" m/s", "muted"),
            Span(f"{distance_m:8.1f}"),
            Span(" m", "muted"),
        )
        falls_below_m = header.fall_height_m
        falls = f", falls below {falls_below_m:.2f} m" if falls_below_m > 0 else ", cannot fall"
        head = (
            Span(" head ", "muted"),
            Span(f"{film.head[moment, 2]:.2f} m"),
            Span(falls, "muted"),
        )
        speeds = film.speeds_m_s[: moment + 1].tolist()
        spark = (
            Span(" speed ", "muted"),
            Span(sparkline(speeds, _SPARK_CELLS).ljust(_SPARK_CELLS), "accent"),
            Span(f" {_short(min(speeds))} to {_short(max(speeds))}", "muted"),
        )
        self.numbers.show([reached, head, spark])


def _short(speed_m_s: float) -> str:
    return f"{round(speed_m_s, 2) + 0.0:.2f}"
