"""Keys that act on robots, the same on the list and on a robot's page."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding, BindingType

from hdtui.actions.evaluate import Choices, EvaluationRequest, queue_evaluation, read_choices
from hdtui.canvas.camera import SIDE, View
from hdtui.canvas.picture import Drawing
from hdtui.messages import Loaded
from hdtui.screens.new_run.evaluate import EvaluateScreen
from hdtui.screens.shell import CockpitScreen

if TYPE_CHECKING:
    from hdtui.screens.watch.screen import WatchScreen

TURN_DEG = 45.0


class RobotActionsScreen(CockpitScreen):
    """A screen with a current robot, drawn by ``set_look``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "evaluate", show=False),
        Binding("w", "watch", show=False),
        Binding("r", "turn", show=False),
        Binding("d", "drawing", show=False),
        Binding("y", "copy", show=False),
    ]

    def __init__(self, cockpit: Any) -> None:
        super().__init__(cockpit)
        self.view: View = SIDE

    def current_robot(self) -> tuple[str, str] | None:
        """Digest and name of the robot under the cursor."""
        return None

    def chosen_robots(self) -> list[tuple[str, str]]:
        """Digests and names of the robots that ``e`` evaluates."""
        current = self.current_robot()
        return [current] if current else []

    def policies_first(self) -> Sequence[int]:
        """Policies that the dialog offers first, already chosen."""
        return ()

    def set_look(self, drawing: Drawing, view: View) -> None:
        """Draw the robot otherwise."""

    def drawing(self) -> Drawing:
        """How robots are drawn in this workspace."""
        name = self.cockpit.preferences.get("drawing", "braille")
        return Drawing(name) if name in list(Drawing) else Drawing.BRAILLE

    def action_turn(self) -> None:
        self.view = self.view.turned(TURN_DEG)
        self.set_look(self.drawing(), self.view)

    def action_drawing(self) -> None:
        self.cockpit.preferences.set("drawing", str(self.drawing().following))
        self.set_look(self.drawing(), self.view)

    def action_copy(self) -> None:
        current = self.current_robot()
        if current is not None:
            self.app.copy_to_clipboard(current[0])
            self.say(f"copied the digest of {current[1]}")

    async def action_watch(self) -> None:
        current = self.current_robot()
        if current is None:
            self.say("w: no robot under the cursor")
            return
        await self.app.switch_mode("watch")
        cast("WatchScreen", self.app.screen).watch_robot(*current)

    def action_evaluate(self) -> None:
        if not self.chosen_robots():
            self.say("e: no robot under the cursor")
            return
        first, robots = tuple(self.policies_first()), self.chosen_robots()
        self.ask("evaluate", lambda database: read_choices(database, first, robots))

    def on_loaded(self, message: Loaded) -> None:
        # Textual calls the handler of the base class by itself.
        if message.topic == "evaluate":
            self._ask_what(message.facts)

    def _ask_what(self, choices: Choices) -> None:
        if not self.is_active:
            return  # over another screen the dialog would take keys that are meant for that one
        wanted = choices.first(self.policies_first())
        self.app.push_screen(EvaluateScreen(wanted, choices), self._evaluate)

    def _evaluate(self, wanted: EvaluationRequest | None) -> None:
        if wanted is not None and self.may_act():
            self.command(partial(queue_evaluation, self.cockpit, wanted))
