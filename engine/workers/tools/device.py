"""Whether this machine has a device: torch knows, and only a child may ask it."""

from typing import Any

from engine.policies.controller import select_device


def run(*, device: str) -> dict[str, Any]:
    """The device that a setting means here.

    Raises:
        ConfigError: This machine has none of that name.
    """
    return {"device": str(select_device(device))}
