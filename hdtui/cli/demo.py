"""``hdtui --demo``: the cockpit of a made-up workspace that is gone when it is left."""

import os
import tempfile
from pathlib import Path

from db.address import URL_VARIABLE
from hdtui.app import CockpitApp
from hdtui.cli.cockpit import usable_terminal
from hdtui.cli.output import say
from hdtui.demo.live_feed import Feed
from hdtui.demo.world import SENTENCE, build
from hdtui.messages import Answer


class DemoApp(CockpitApp):
    """The cockpit, saying at once that nothing here is a result."""

    def on_cockpit_app_opened(self, message: CockpitApp.Opened) -> None:
        self.call_after_refresh(lambda: self.screen.post_message(Answer(SENTENCE)))


def open_demo() -> int:
    """Make the demo up, show it until it is left, throw it away; the cockpit's exit code."""
    if not usable_terminal():
        return 2
    os.environ.pop(URL_VARIABLE, None)  # a demo never goes into a real database
    say("Making the demo: real robots, made-up runs ...")
    with tempfile.TemporaryDirectory(prefix="hdtui-demo-") as folder:
        home = Path(folder) / "demo"
        build(home)
        feed = Feed(home)
        feed.start()
        try:
            app = DemoApp(home, readonly=True)
            app.show()
        finally:
            feed.stop()
    say("The demo is gone; nothing of it was kept. `hdtui` opens your own workspace.")
    return app.return_code or 0
