"""Commands that need torch or mujoco: they run in a child, so this process never loads either."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import typer


def run_tool(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON document that ``python -m engine.workers.tool NAME`` prints for these arguments.

    The child's stderr (progress, errors) passes through. Leaves with the child's exit code where it
    failed: it has said why.
    """
    child = subprocess.run(
        [sys.executable, "-m", "engine.workers.tool", name],
        input=json.dumps(arguments),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if child.returncode:
        raise typer.Exit(child.returncode if child.returncode in (1, 2) else 1)
    result: dict[str, Any] = json.loads(child.stdout)
    return result
