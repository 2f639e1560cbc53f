"""What a run was made with: versions and machine, read without loading anything heavy."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("hdtui", "torch", "mujoco", "mjbatch", "numpy", "safetensors")


def provenance() -> dict[str, str]:
    """Versions of what computes, and the machine it computes on."""
    facts = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(os.cpu_count()),
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "absent"
    return facts
