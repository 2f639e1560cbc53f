"""A robot in cells: sends the spans that changed, one strip a row."""

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from engine.morphology.poses import Poses
from hdtui.canvas.camera import SIDE, View
from hdtui.canvas.cells import FIRST_HUE, HEAD, MUTED, Frame
from hdtui.canvas.picture import Drawing, Picture
from hdtui.widgets.lines import Span, fit, strip_of, wrapped
from hdtui.widgets.roles import style_of

_TERMINAL_HUES = ("cyan", "yellow", "green", "magenta", "blue", "red")
_HUES = {
    "terminal": _TERMINAL_HUES,
    "mono": ("",) * 6,
    "dark": ("#56c2e6", "#e6c260", "#7fc97f", "#c792ea", "#7aa2f7", "#f07178"),
    "light": ("#00688b", "#8a5a00", "#23702f", "#7b3fa0", "#2b4fa8", "#b3261e"),
    "colour-blind": ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#0072b2", "#d55e00"),
}


@lru_cache(maxsize=256)
def ink_style(theme: str, ink: int) -> Style:
    """The style of an ink: the ground muted, the head bold, a hue per pair, the far limb dim."""
    if ink < FIRST_HUE:
        return style_of(theme, {MUTED: "muted", HEAD: "text bold"}.get(ink, "text"))
    hue, far = divmod(ink - FIRST_HUE, 2)
    colour = _HUES.get(theme, _TERMINAL_HUES)[hue]
    return style_of(theme, "text") + Style.parse(f"{colour} dim" if far else colour or "none")


class RobotCanvas(Widget):
    """Draws moments of an episode; without one, the sentence that says why."""

    DEFAULT_CSS = "RobotCanvas { height: 1fr; width: 1fr; }"

    def __init__(self, sentence: str = "", *, widget_id: str | None = None) -> None:
        super().__init__(id=widget_id)
        self.poses: Poses | None = None
        self.sentence = sentence
        self.drawing = Drawing.BRAILLE
        self.view = SIDE
        self.moment = 0
        self._camera_moment: int | None = None
        self._picture: Picture | None = None
        self._frame: Frame | None = None

    def set_poses(self, poses: Poses | None, sentence: str = "") -> None:
        """Draw another episode from its start, or a sentence where there is none."""
        if poses is self.poses and sentence == self.sentence:
            return
        self.poses, self.sentence = poses, sentence
        self.moment, self._camera_moment = 0, None
        self._restart()

    def set_look(self, drawing: Drawing, view: View) -> None:
        """Draw it otherwise or from elsewhere."""
        if (drawing, view) != (self.drawing, self.view):
            self.drawing, self.view = drawing, view
            self._restart()

    def show_moment(self, moment: int, follow: bool = True) -> None:
        """Draw the episode's ``moment``; without ``follow`` the camera stays where it stands."""
        if self.poses is None:
            return
        last = self.poses.num_steps - 1
        before, self.moment = self.moment, max(0, min(moment, last))
        if follow:
            self._camera_moment = None
        elif self._camera_moment is None:
            self._camera_moment = before
        self._draw()

    def on_resize(self) -> None:
        self._restart()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self._frame is None:
            rows = wrapped(self.sentence, width - 2) if self.sentence else []
            first = max(0, (self.size.height - len(rows)) // 2)
            text = f" {rows[y - first]}" if first <= y < first + len(rows) else ""
            return strip_of(self, fit((Span(text, "muted"),), width), width)
        if y >= len(self._frame.codes):
            return Strip.blank(width, ink_style(self.app.theme, 0))
        theme = self.app.theme
        pieces = self._frame.runs(y)
        return Strip([Segment(text, ink_style(theme, ink)) for text, ink in pieces], width)

    def _restart(self) -> None:
        width, height = self.size
        self._picture = None
        if self.poses is not None and width > 0 and height > 0:
            self._picture = Picture(self.poses, width, height, self.drawing, self.view)
        self._frame = None
        self._draw()
        self.refresh()

    def _draw(self) -> None:
        if self._picture is None:
            return
        previous, self._frame = (
            self._frame,
            self._picture.frame(self.moment, self._camera_moment),
        )
        spans = self._frame.changes(previous)
        if spans:
            self.refresh(*(Region(start, row, end - start, 1) for row, start, end in spans))
