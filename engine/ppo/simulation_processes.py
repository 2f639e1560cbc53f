"""Simulations apart from the learner: processes of one thread step them, one learner acts.

Each process owns some robots in two groups. While it steps one, the learner acts on the other, so
physics and inference overlap. What crosses lies in memory that all see: the learner reads it in one
copy a step and puts rows into the order of its own packing.
"""

import json
import os
import select
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
from torch import Tensor

from engine.config.teacher import TeacherConfig
from engine.environments.terrain_observation import terrain_points
from engine.errors import HdtuiError, SimulationError
from engine.morphology.packing import Packing
from engine.morphology.tree import Morphology
from engine.policies.robots import robot_batch
from engine.policies.widths import network_widths
from engine.ppo.simulators import (
    Arrays,
    CollectionSummary,
    Simulators,
    Storage,
    groups_at_work,
)
from engine.random import torch_seed
from engine.rollout.children import Children, prepare_child
from engine.rollout.collect import CollectionSeconds, Simulation, final_rows
from engine.rollout.rollout import part_of
from engine.rollout.shared_memory import Layout, SharedArrays, bytes_of, reserve_memory

_GROUPS = 2
_DONE, _FAILED = b".", b"!"
_POLL_MS = 500
"""How often a process that does not answer is looked after: dead ones never will."""

IntArray = npt.NDArray[np.int64]


def _layout(config: TeacherConfig, robots: Sequence[Morphology], terrain_points: int) -> Layout:
    """What crosses, by ``group.name``: (processes, most rows or environments, width)."""
    widths = network_widths(terrain_points)
    slots = -(-len(robots) // config.processes)
    if config.robots_at_once:
        slots = min(slots, -(-config.robots_at_once // config.processes))
    environments = -(-slots // _GROUPS) * config.simulations_per_robot
    rows = environments * max(robot.num_limbs for robot in robots)
    per_row = (config.processes, rows)
    per_environment = (config.processes, environments)
    layout: dict[str, tuple[tuple[int, ...], npt.DTypeLike]] = {}
    for group in range(_GROUPS):
        layout |= {
            f"{group}.observation": ((*per_row, widths.observation), np.float32),
            f"{group}.final_observation": ((*per_row, widths.observation), np.float32),
            f"{group}.actions": ((*per_row, widths.joint_slots), np.float32),
            f"{group}.reward": (per_environment, np.float32),
            f"{group}.terminated": (per_environment, np.bool_),
            f"{group}.truncated": (per_environment, np.bool_),
        }
        if terrain_points:
            layout[f"{group}.terrain"] = ((*per_environment, terrain_points), np.float32)
            layout[f"{group}.final_terrain"] = ((*per_environment, terrain_points), np.float32)
    return layout


class SimulationProcesses:
    """The robots of a run in processes of their own; a context manager that leaves none behind."""

    def __init__(
        self, config: TeacherConfig, robots: Sequence[Morphology], device: torch.device
    ) -> None:
        self._config = config
        self.morphologies = tuple(robots)
        self.limb_counts = [robot.num_limbs for robot in robots]
        self._device = device
        self._groups: list[RemoteSimulation] = []
        self._rotation = 0
        self._means: dict[int, dict[str, float]] = {}
        self.terrain_points = terrain_points(config.task)
        layout = _layout(config, robots, self.terrain_points)
        path = reserve_memory(bytes_of(layout), "observations")
        self._children = Children()
        self._done = [os.pipe() for _ in range(_GROUPS)]
        try:
            for rank in range(config.processes):
                writers = [Connection(os.dup(there), readable=False) for _, there in self._done]
                arguments = (rank, writers, (path, layout), (config, self.morphologies))
                self._children.start(_simulate, f"simulations-{rank}", *arguments)
                for writer in writers:
                    writer.close()
            self._memory = SharedArrays.open(path, layout)
            for rank in range(config.processes):
                self._answer(rank)
        except BaseException:
            self._children.close()
            raise
        finally:
            path.unlink()  # everybody has it open: it goes with the last process, however that ends
        if device.type == "cuda":
            self._memory.pin()
        self.members = self._members()

    def __enter__(self) -> "SimulationProcesses":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._children.close()
        for ends in self._done:
            for end in ends:
                os.close(end)

    def _members(self) -> list[list[tuple[int, ...]]]:
        """Indices of the robots at work, by group and process."""
        by_process = [
            groups_at_work(self._config, self.limb_counts, rank, self._rotation, _GROUPS)
            for rank in range(self._config.processes)
        ]
        return [[groups[group] for groups in by_process] for group in range(_GROUPS)]

    @property
    def robots(self) -> tuple[int, ...]:
        """Indices of those at work."""
        return tuple(sorted(robot for group in self.members for own in group for robot in own))

    def begin(self, iteration: int) -> bool:
        """Change robots and courses where an iteration is due to; whether the robots changed."""
        rotation = iteration // self._config.rotation_iterations
        if rotation == self._rotation:
            return False
        self._rotation = rotation
        before, self.members = self.members, self._members()
        self._ask_all({"begin": iteration})
        return self.members != before

    def groups(self, live: Packing) -> Sequence[Simulation]:
        """The robots at work in the groups that are stepped in turn."""
        self._groups = [
            RemoteSimulation(self, group, live, self._device)
            for group, by_process in enumerate(self.members)
            if any(by_process)
        ]
        return self._groups

    def noise_seed(self, iteration: int, group: int) -> int:
        """The learner draws for all robots of a group, however many processes step them."""
        return torch_seed(self._config.seed, "noise", iteration, "group", group)

    def summary(self, seconds: CollectionSeconds) -> CollectionSummary:
        """The learner's time; while it waited, physics or observations went on elsewhere."""
        reports = [json.loads(content) for content in self._ask_all({"report": True})]
        for report in reports:
            self._means |= {int(robot): numbers for robot, numbers in report["means"].items()}
        physics = sum(report["physics_s"] for report in reports)
        observation = sum(report["observation_s"] for report in reports)
        fraction = physics / max(physics + observation, 1e-9)
        return CollectionSummary(
            physics_s=seconds.waiting * fraction,
            observation_s=seconds.waiting * (1.0 - fraction),
            inference_s=seconds.inference,
            exploded=sum(report["exploded"] for report in reports),
        )

    def episode_means(self) -> dict[int, dict[str, float]]:
        """Mean numbers of the latest episodes."""
        return self._means

    def state(self) -> Arrays:
        """What every process needs to go on bit for bit."""
        arrays: Arrays = {}
        for rank, content in enumerate(self._ask_all({"state": True})):
            own = safetensors.numpy.load(content)
            arrays |= {f"process-{rank}.{name}": values for name, values in own.items()}
        return arrays

    def restore(self, state: Storage, iteration: int) -> None:
        """Continue from a ``state``; steps that are under way are waited for."""
        for group in self._groups:
            group.wait()
        self._rotation = max(iteration - 1, 0) // self._config.rotation_iterations
        self.members = self._members()
        for rank, connection in enumerate(self._children.connections):
            start = f"process-{rank}."
            own = {
                name.removeprefix(start): np.ascontiguousarray(values)
                for name, values in state.items()
                if name.startswith(start)
            }
            self._send(rank, json.dumps({"restore": iteration}).encode())
            connection.send_bytes(safetensors.numpy.save(own))
        self._means = {}
        for rank in range(self._config.processes):
            means = json.loads(self._answer(rank))
            self._means |= {int(robot): numbers for robot, numbers in means.items()}

    def array(self, group: int, name: str) -> npt.NDArray[Any]:
        """What crosses of a group under a name: (processes, rows or environments, ...)."""
        return self._memory.arrays[f"{group}.{name}"]

    def step(self, group: int, ranks: Sequence[int]) -> None:
        """Let processes step a group."""
        for rank in ranks:
            self._send(rank, str(group).encode())

    def wait(self, group: int, steps: int) -> None:
        """Wait until ``steps`` processes have stepped a group."""
        reader = self._done[group][0]
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        while steps > 0:
            if not poll.poll(_POLL_MS):
                self._look_after()
                continue
            signals = os.read(reader, steps)
            if _FAILED in signals:
                self._look_after()
            steps -= len(signals)

    def _look_after(self) -> None:
        """SimulationError where a process has failed or died."""
        for rank, (process, connection) in enumerate(
            zip(self._children.processes, self._children.connections, strict=True)
        ):
            if connection.poll():
                self._answer(rank)
            if not process.is_alive():
                raise self._died(rank)

    def _ask_all(self, question: Mapping[str, Any]) -> list[bytes]:
        content = json.dumps(question).encode()
        for rank in range(self._config.processes):
            self._send(rank, content)
        return [self._answer(rank) for rank in range(self._config.processes)]

    def _send(self, rank: int, content: bytes) -> None:
        try:
            self._children.connections[rank].send_bytes(content)
        except (BrokenPipeError, ConnectionError) as error:
            raise self._died(rank) from error

    def _answer(self, rank: int) -> bytes:
        """A process's answer; SimulationError where it failed or is gone."""
        try:
            content = self._children.connections[rank].recv_bytes()
        except (EOFError, ConnectionError) as error:
            raise self._died(rank) from error
        if content.startswith(_FAILED):
            raise SimulationError(content[len(_FAILED) :].decode())
        return content

    def _died(self, rank: int) -> SimulationError:
        return SimulationError(
            f"simulation process {rank} of {self._config.processes} died; the log holds its last"
            " words, and `hdtui runs resume` continues from the last checkpoint"
        )


class RemoteSimulation:
    """One group of robots that other processes step."""

    def __init__(
        self, processes: SimulationProcesses, group: int, live: Packing, device: torch.device
    ) -> None:
        by_process = processes.members[group]
        at_work = processes.robots
        members = [robot for own in by_process for robot in own]
        self._processes = processes
        self._group = group
        self._device = device
        self._ranks = [rank for rank, own in enumerate(by_process) if own]
        self._under_way = 0
        self.part = part_of(live, [at_work.index(robot) for robot in members], device)
        self.robots = robot_batch([processes.morphologies[robot] for robot in members], device)
        rows, environments = self._places(by_process, processes.limb_counts)
        self._environments = environments
        self._rows_on_host = rows
        self._rows = torch.from_numpy(rows).to(device)
        self._environments_there = torch.from_numpy(environments).to(device)
        self._observation = self._flat("observation")
        self._actions = self._flat("actions")
        self._terrain = self._flat("terrain") if processes.terrain_points else None
        self._final_terrain = self._flat("final_terrain") if processes.terrain_points else None
        self._padded_actions = torch.zeros(self._actions.shape, device=device)

    def _flat(self, name: str) -> Tensor:
        """What crosses, processes behind each other."""
        return torch.from_numpy(self._processes.array(self._group, name)).flatten(0, 1)

    def _places(
        self, by_process: Sequence[Sequence[int]], limb_counts: Sequence[int]
    ) -> tuple[IntArray, IntArray]:
        """Where each row and environment of the group's packing lies in what crosses."""
        live = self.part.live
        most_rows = self._processes.array(self._group, "observation").shape[1]
        most_environments = self._processes.array(self._group, "reward").shape[1]
        rows = np.zeros(live.num_rows, np.int64)
        environments = np.zeros(live.num_environments, np.int64)
        member = 0
        for rank, own in enumerate(by_process):
            packing = Packing(tuple(limb_counts[robot] for robot in own), live.per_robot)
            for place in range(len(own)):
                there, here = packing.robot_rows[place], live.robot_rows[member]
                rows[here] = rank * most_rows + np.arange(there.start, there.stop)
                there = packing.robot_environments[place]
                here = live.robot_environments[member]
                environments[here] = rank * most_environments + np.arange(there.start, there.stop)
                member += 1
        return rows, environments

    def step(self, actions: Tensor) -> None:
        """Hand out the actions and let the processes step."""
        self._padded_actions.index_copy_(0, self._rows, actions)
        self._actions.copy_(self._padded_actions, non_blocking=True)
        if self._device.type == "cuda":
            torch.cuda.current_stream().synchronize()
        self._processes.step(self._group, self._ranks)
        self._under_way = len(self._ranks)

    def wait(self) -> None:
        """Be sure that no process steps any more."""
        under_way, self._under_way = self._under_way, 0
        self._processes.wait(self._group, under_way)

    def seen(self) -> tuple[Tensor, Tensor | None]:
        """What the environments see now, in the order of the group's packing."""
        observation = self._observation.to(self._device, non_blocking=True)
        seen = observation.index_select(0, self._rows)
        if self._terrain is None:
            return seen, None
        terrain = self._terrain.to(self._device, non_blocking=True)
        return seen, terrain.index_select(0, self._environments_there)

    def outcome(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """What the last step brought."""
        reward, terminated, truncated = (
            self._processes.array(self._group, name).reshape(-1)[self._environments]
            for name in ("reward", "terminated", "truncated")
        )
        return reward, terminated, truncated

    def final(
        self, environments: IntArray
    ) -> tuple[list[npt.NDArray[Any]], npt.NDArray[Any] | None]:
        """What truncated environments saw last."""
        flat = self._processes.array(self._group, "final_observation")
        flat = flat.reshape(-1, flat.shape[-1])
        places = final_rows(self._rows_on_host, self.part.live, environments)
        rows = [flat[own] for own in places]
        terrain = self._final_terrain
        if terrain is None:
            return rows, None
        return rows, terrain.numpy()[self._environments[environments]]


def _simulate(
    connection: Connection,
    parent: int,
    rank: int,
    done: Sequence[Connection],
    shared: tuple[Path, Layout],
    run: tuple[TeacherConfig, tuple[Morphology, ...]],
) -> None:
    """The life of a simulation process: step, and answer questions, until the learner leaves."""
    prepare_child(parent)
    try:
        memory = SharedArrays.open(*shared)
        storage = [
            {
                name.removeprefix(f"{group}."): array[rank]
                for name, array in memory.arrays.items()
                if name.startswith(f"{group}.")
            }
            for group in range(_GROUPS)
        ]
        simulators = Simulators(*run, rank, storage)
        connection.send_bytes(b"ready")
        while True:
            command = connection.recv_bytes()
            if command.isdigit():
                group = int(command)
                _step(simulators, group, storage[group]["actions"])
                os.write(done[group].fileno(), _DONE)
            else:
                _respond(simulators, json.loads(command), connection)
    except (EOFError, ConnectionError):
        return  # The learner has left; it knows why.
    except HdtuiError as error:
        connection.send_bytes(_FAILED + str(error).encode())
        for writer in done:
            os.write(writer.fileno(), _FAILED)
        raise SystemExit(f"simulation process {rank}: {error}") from error


def _step(simulators: Simulators, group: int, actions: npt.NDArray[Any]) -> None:
    environment = simulators.environments[group]
    if environment is not None:
        environment.step(actions[: environment.packing.num_rows])


def _respond(simulators: Simulators, question: Mapping[str, Any], connection: Connection) -> None:
    if "begin" in question:
        simulators.begin(question["begin"])
        connection.send_bytes(b"begun")
    elif "report" in question:
        seconds = simulators.take_seconds()
        report = {
            "exploded": simulators.note_episodes(),
            "physics_s": seconds.physics,
            "observation_s": seconds.observation,
            "means": simulators.window.means(),
        }
        connection.send_bytes(json.dumps(report).encode())
    elif "state" in question:
        state = {name: np.ascontiguousarray(v) for name, v in simulators.state().items()}
        connection.send_bytes(safetensors.numpy.save(state))
    elif "restore" in question:
        content = connection.recv_bytes()
        simulators.restore(safetensors.numpy.load(content), question["restore"])
        connection.send_bytes(json.dumps(simulators.window.means()).encode())
