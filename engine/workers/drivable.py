"""Whether the networks of a run can drive its robots, asked before it is queued.

Loads neither torch nor mujoco: networks are known by their settings, bodies by their files.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from db.records import Robot, Run, RunKind
from engine.config.network import NetworkConfig
from engine.errors import RobotError, UsageError
from engine.morphology.drivable import undrivable_reason
from engine.morphology.mjcf import RobotFile
from engine.morphology.tree import Morphology
from engine.workers.policy_files import written_network
from engine.workers.robot_library import load
from engine.workers.workspace import Workspace


def check_drivable(networks: Mapping[str, NetworkConfig], robots: Iterable[Morphology]) -> None:
    """See that every network, named as a sentence calls it, can read the bodies of all robots.

    Bodies are read only where a network cares.

    Raises:
        UsageError: One cannot; the sentence names robot, number and classes.
    """
    readers = {who: network for who, network in networks.items() if network.reads_classes}
    bodies = list(robots) if readers else []
    for who, network in readers.items():
        if reason := undrivable_reason(network, bodies):
            raise UsageError(f"{who} cannot drive {reason}")


def networks_of(inputs: Sequence[Run], files: Sequence[Path]) -> dict[str, NetworkConfig]:
    """The networks of runs and policy files that act in a run.

    Deployed policies have read their robot already; what another version wrote is left to the
    worker, which names the setting.
    """
    written: dict[str, Any] = {
        f"run {run.id} ({run.kind} {run.name})": run.config.get("network", {})
        for run in inputs
        if run.kind in (RunKind.TEACHER, RunKind.STUDENT)
    }
    written |= {f"file {path.name}": written_network(path) for path in files}
    found = {}
    for who, document in written.items():
        try:
            if document:
                found[who] = NetworkConfig.model_validate(document)
        except ValidationError:
            continue
    return found


def bodies(workspace: Workspace, robots: Iterable[Robot | RobotFile]) -> Iterator[Morphology]:
    """The bodies of robots of the library and of files, read one by one.

    One whose file is gone or damaged is left to the worker, which names it.
    """
    for robot in robots:
        if isinstance(robot, RobotFile):
            yield robot.robot
        else:
            with suppress(RobotError):
                yield load(workspace, robot)
