"""Screens that leave once: a key typed twice, or an answer that comes late, closes nothing else."""

from typing import ClassVar, TypeVar

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

from hdtui.messages import ScreenGone

Result = TypeVar("Result")


class LeavesOnce(Screen[Result]):
    """A screen whose ``dismiss`` takes away no screen but itself.

    Textual's takes what is on top, which may be another one by the time that a thread has acted.
    """

    def on_unmount(self) -> None:
        """Only now nothing of it is in use any more."""
        self.app.post_message(ScreenGone())

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Leave with a result; nothing where the screen is no longer, or not yet again, on top."""
        if not self.is_active or len(self.app.screen_stack) < 2:
            return AwaitComplete()
        return super().dismiss(result)


class Dialog(LeavesOnce[Result], ModalScreen[Result]):
    """A box over a screen; esc leaves it without a result."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def action_leave(self) -> None:
        self.dismiss(None)
