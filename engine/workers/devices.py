"""Devices that settings name are looked for before anything is queued."""

import json
import subprocess
from functools import cache

from pydantic import BaseModel

from engine.errors import ConfigError
from engine.workers.child_process import NEUTRAL_FOLDER, child_command, child_environment


def check_devices(config: BaseModel) -> None:
    """See that this machine has the devices that a stage, or a stage of a pipeline, names.

    Only torch knows whether CUDA works, and it takes seconds to load: a child asks it, and only
    where a setting says cuda. ``auto`` and ``cpu`` are there on every machine.

    Raises:
        ConfigError: There is no such device.
    """
    stages = [getattr(config, name) for name in type(config).model_fields]
    if "cuda" in {getattr(stage, "device", None) for stage in [config, *stages]}:
        _find("cuda")


@cache
def _find(device: str) -> None:
    """See that torch finds a device; what was found once is there.

    Raises:
        ConfigError: It does not.
    """
    child = subprocess.run(
        child_command("engine.workers.child_tool", "device"),
        input=json.dumps({"device": device}),
        capture_output=True,
        text=True,
        cwd=NEUTRAL_FOLDER,
        env=child_environment(),
        check=False,
    )
    if child.returncode == 0:
        return
    if child.returncode in (1, 2) and child.stdout:
        raise ConfigError(str(json.loads(child.stdout)["error"]))
    raise ConfigError(
        f"device: found {device}, and torch could not be asked for it"
        f" (exit code {child.returncode}); `hdtui doctor` says what is wrong with torch"
    )
