"""What a run was made with: versions and machine, read without loading anything heavy."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hdtui", "torch", "mujoco", "mjbatch", "numpy", "safetensors")


def provenance() -> dict[str, str]:
    """Versions of what computes, the commit of a checkout, and the machine it computes on."""
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
    revision = source_revision()
    return facts if revision is None else {**facts, "revision": revision}


def source_revision() -> str | None:
    """The commit of the checkout that this program runs from; None where it was installed."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return None
    asked = [git, "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
