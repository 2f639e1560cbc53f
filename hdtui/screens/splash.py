"""The first paint: row 1, rules and keys, before anything is read."""

from textual.app import ComposeResult

from hdtui.screens.shell import CockpitScreen
from hdtui.widgets.lines import Lines
from hdtui.widgets.pane import Pane


class SplashScreen(CockpitScreen):
    """Stands until the database was read; it asks nothing itself."""

    TITLE_WORD = "Home"

    def compose_body(self) -> ComposeResult:
        yield Pane("hdtui", Lines(), facts="reading")
