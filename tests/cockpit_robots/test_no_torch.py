"""The screens of robots stay light."""

import subprocess
import sys

CODE = """
import sys
from hdtui.screens.compare import screen
from hdtui.screens.efficiency import screen
from hdtui.screens.new_run import evaluate
from hdtui.screens.robots import robot, screen
from hdtui.screens.watch import screen
from hdtui.canvas import picture
heavy = sorted({"torch", "mujoco", "mjbatch"} & set(sys.modules))
sys.exit(f"loaded {heavy}" if heavy else 0)
"""


def test_no_screen_of_robots_loads_torch_or_mujoco() -> None:
    child = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
