"""Commands that need torch or mujoco: they run in a child, so this process never loads either."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from engine.errors import HdtuiError, UsageError
from engine.workers.child_process import NEUTRAL_FOLDER, child_command, child_environment


def run_tool(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON document that ``engine.workers.tool`` NAME prints for these arguments.

    The child's stderr (progress) passes through.

    Raises:
        UsageError: An argument is not valid.
        HdtuiError: The child failed.
    """
    child = subprocess.run(
        child_command("engine.workers.tool", name),
        input=json.dumps(arguments),
        stdout=subprocess.PIPE,
        text=True,
        cwd=NEUTRAL_FOLDER,
        env=child_environment(),
        check=False,
    )
    if child.returncode in (1, 2) and child.stdout:
        raise (UsageError if child.returncode == 2 else HdtuiError)(
            json.loads(child.stdout)["error"]
        )
    if child.returncode:
        raise HdtuiError(f"{name} ended with exit code {child.returncode} and gave no answer")
    result: dict[str, Any] = json.loads(child.stdout)
    return result
