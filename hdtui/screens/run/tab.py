"""What the tabs of a run have in common."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from textual.containers import Vertical
from textual.message import Message

from hdtui.data.cockpit import Cockpit
from hdtui.widgets.chrome import Key

if TYPE_CHECKING:
    from db.records import Run
    from db.session import Database
    from hdtui.data.run_states import RunView


class RunTab(Vertical):
    """A tab: it has a question for the database and shows the answer."""

    class Reread(Message):
        """The tab wants another answer, or its facts and keys changed."""

    class Opened(Message):
        """The user goes into another run."""

        def __init__(self, run_id: int) -> None:
            super().__init__()
            self.run_id = run_id

    def __init__(self, cockpit: Cockpit, run_id: int) -> None:
        super().__init__()
        self.cockpit = cockpit
        self.run_id = run_id
        self.view: RunView | None = None

    @property
    def run(self) -> "Run | None":
        """The run, once it is read."""
        return self.view.run if self.view is not None else None

    @property
    def ended(self) -> bool:
        """The run is known to have no process, and none to come by itself."""
        return self.run is not None and self.run.state.ended

    def question(self) -> "Callable[[Database], Any]":
        """What to ask in a thread; built on the event loop from the tab's present settings."""
        return lambda database: None

    def show_facts(self, facts: Any) -> None:
        """Show the answer."""

    def facts(self) -> str:
        """Words for the right end of the line of tabs."""
        return ""

    def keys(self) -> Sequence[Key]:
        """The tab's keys."""
        return ()

    def take_focus(self) -> None:
        """Give the focus to what moves."""

    def go_out(self) -> bool:
        """Esc: close the innermost thing; False where there is none."""
        return False
