"""What tells this machine from others, and time that nobody sets.

A machine is its boot, whatever its name: names come from DHCP, containers and people, and two
machines may carry one. Wall clocks step; the time since the boot does not.
"""

import hashlib
import socket
import subprocess
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import psutil

FIRST_PID_NAMESPACE = 0xEFFFFFFC
"""The kernel's number of the process numbers that the machine itself uses (PROC_PID_INIT_INO)."""
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@cache
def kernel_boot_id() -> str:
    """A name for this boot of the kernel, which all its containers share."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        pass
    try:  # macOS; the time of its boot moves with the clock
        command = ["sysctl", "-n", "kern.bootsessionuuid"]
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return found.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return str(int(psutil.boot_time()))


@cache
def boot_id() -> str:
    """A name for this boot of this machine; containers with process numbers of their own differ."""
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return kernel_boot_id()
    kernel = kernel_boot_id()
    return kernel if namespace == FIRST_PID_NAMESPACE else f"{kernel}.{namespace}"


@cache
def installation() -> str:
    """What names this machine over restarts, empty where nothing does."""
    try:
        found = Path("/etc/machine-id").read_text(errors="replace").strip()
    except OSError:
        return ""
    # The file asks not to be shown around.
    return hashlib.sha256(f"hdtui {found}".encode()).hexdigest()[:32] if found else ""


def host_name() -> str:
    """The name under which people know this machine."""
    return socket.gethostname()


def is_this_machine(boot: str | None, host: str) -> bool:
    """What carries this boot and host name is of this machine, since its last start.

    Version 0.1 wrote the kernel's boot alone, and before that only the name.
    """
    if boot is None:
        return host == host_name()
    return boot == boot_id() or (boot == kernel_boot_id() and host == host_name())


def clock_offset_s() -> float:
    """The wall clock's time of the boot, which moves when the clock is set."""
    return time.time() - uptime_s()


def now() -> datetime:
    """This moment in UTC; nowhere else does db look at the clock."""
    return datetime.now(UTC)


def uptime_s() -> float:
    """Seconds since the boot, those asleep included; never set, never stepped."""
    return time.clock_gettime(_STEADY)
