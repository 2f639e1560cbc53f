"""What needs torch or mujoco is asked of a child, so this process never loads either."""

import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import HdtuiError, UsageError
from engine.workers.child_process import NEUTRAL_FOLDER, child_command, child_environment

LOOK_EVERY_S = 0.1


def run_tool(
    name: str, arguments: Mapping[str, Any], given_up: Callable[[], bool] | None = None
) -> dict[str, Any]:
    """The JSON document that ``engine.workers.child_tool`` NAME prints for these arguments.

    The child's stderr, its progress, passes through. Whoever says with ``given_up`` when nobody
    wants the answer any more has a screen that it would spoil: it is kept for the error then.

    Raises:
        UsageError: An argument is not valid.
        HdtuiError: The child failed, its last line says why; or it was given up and is killed.
    """
    try:
        process = subprocess.Popen(
            child_command("engine.workers.child_tool", name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if given_up is None else subprocess.PIPE,
            text=True,
            cwd=NEUTRAL_FOLDER,
            env=child_environment(),
        )
    except OSError as error:
        raise HdtuiError(f"{name} failed: its process did not start ({error})") from error
    with process as child:
        said, complaints = _listen(child, json.dumps(arguments), given_up)
    try:
        document: dict[str, Any] = json.loads(said)
    except ValueError as error:
        last = (complaints or "").strip().splitlines()[-1:] or ["it gave no answer"]
        raise HdtuiError(f"{name} failed with exit code {child.returncode}: {last[0]}") from error
    if child.returncode:
        raise (UsageError if child.returncode == 2 else HdtuiError)(document["error"])
    return document


def _listen(
    child: subprocess.Popen[str], question: str, given_up: Callable[[], bool] | None
) -> tuple[str, str | None]:
    """What a child answers and complains of; one whose answer nobody wants any more is killed."""
    if given_up is None:
        return child.communicate(question)
    words: str | None = question
    while True:
        try:
            return child.communicate(words, timeout=LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            words = None  # it has them
            if given_up():
                child.kill()
