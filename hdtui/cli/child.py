"""Commands that need torch or mujoco: they run in a child, so this process never loads either."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

import typer

from engine.workers.child_process import NEUTRAL_FOLDER, child_command, child_environment


def run_tool(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON document that ``engine.workers.tool`` NAME prints for these arguments.

    The child's stderr (progress, errors) passes through. Leaves with the child's exit code where it
    failed: it has said why.
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
    if child.returncode:
        raise typer.Exit(child.returncode if child.returncode in (1, 2) else 1)
    result: dict[str, Any] = json.loads(child.stdout)
    return result
