"""Keys that act on robots, the same on the list and on a robot's page."""

from collections.abc import Callable, Sequence
from functools import partial

from textual.binding import Binding

from hdtui.actions.evaluate import Choices, read_choices
from hdtui.canvas.camera import SIDE, View
from hdtui.canvas.picture import Drawing
from hdtui.messages import WatchRobot
from hdtui.screens.new_run.evaluate import ask_evaluation
from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.robot_canvas import RobotCanvas

TURN_DEG = 45.0
ROBOT_KEYS = (
    Binding("e", "robot('evaluate')", "evaluate", tooltip="evaluate it, or the marked"),
    Binding("w", "robot('watch')", "watch", tooltip="watch, teacher and student"),
    Binding("r", "robot('turn')", "turn", tooltip="turn the robot by 45 degrees"),
    Binding("d", "robot('drawing')", "drawing", tooltip="braille, blocks, ASCII"),
    Binding("y", "robot('copy')", "copy", tooltip="copy the digest"),
)
"""For the bindings of a screen whose ``action_robot`` calls ``RobotActions.act``."""

NamedRobot = tuple[str, str]
"""Digest and name."""


class RobotActions:
    """What keys do to the current robot of a screen and to its picture.

    The screen says which robot its cursor is on, which ones ``e`` evaluates, and which policies
    its dialog has chosen at first.
    """

    def __init__(
        self,
        screen: CockpitScreen,
        canvas: RobotCanvas,
        current: Callable[[], NamedRobot | None],
        policies: Callable[[], Sequence[int]],
        chosen: Callable[[], Sequence[NamedRobot]] = tuple,
    ) -> None:
        self.screen = screen
        self.preferences = screen.cockpit.preferences
        self.canvas = canvas
        self.view: View = SIDE
        self._current = current
        self._policies = policies
        self._chosen = chosen

    def act(self, name: str) -> None:
        """Do what a key means."""
        acts: dict[str, Callable[[], None]] = {
            "evaluate": self.evaluate,
            "watch": self.watch,
            "turn": self.turn,
            "drawing": self.change_drawing,
            "copy": self.copy,
        }
        acts[name]()

    def chosen(self) -> list[NamedRobot]:
        """The robots that ``e`` evaluates: those the screen has chosen, else the current one."""
        current = self._current()
        return list(self._chosen()) or ([] if current is None else [current])

    def show_look(self) -> None:
        """Draw the robot as it is drawn in this workspace, from where it was turned to."""
        self.canvas.set_look(Drawing.of(self.preferences.get("drawing", "")), self.view)

    def turn(self) -> None:
        self.view = self.view.turned(TURN_DEG)
        self.show_look()

    def change_drawing(self) -> None:
        drawing = Drawing.of(self.preferences.get("drawing", ""))
        self.preferences.set("drawing", str(drawing.following))
        self.show_look()

    def copy(self) -> None:
        current = self._current()
        if current is not None:
            self.screen.app.copy_to_clipboard(current[0])
            self.screen.say(f"copied the digest of {current[1]}")

    def watch(self) -> None:
        current = self._current()
        if current is None:
            self.screen.say("w: no robot under the cursor")
        else:
            self.screen.app.post_message(WatchRobot(*current))

    def evaluate(self) -> None:
        robots = self.chosen()
        if not robots:
            self.screen.say("e: no robot under the cursor")
            return
        choices = partial(read_choices, first=tuple(self._policies()), robots=robots)
        self.screen.ask(choices, self._ask_evaluation)

    def _ask_evaluation(self, choices: Choices) -> None:
        ask_evaluation(self.screen, choices)
