"""The whole training loop against its environments, for ``hdtui bench ppo``."""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from engine.config.teacher import TeacherConfig, named_teacher
from engine.environments import benchmark
from engine.events import Event, Metrics, StageContext
from engine.morphology.mjcf import read_robot_file
from engine.morphology.tree import Morphology
from engine.policies.build import build_critic, build_policy
from engine.policies.precision import computing, precision_on
from engine.policies.robots import robot_batch
from engine.ppo import train_teacher
from engine.ppo.placement import Placed, place
from engine.workers.robot_library import UNIMAL_VARIABLE, built_in_files
from engine.workers.tools.bench_simulation import viable_robots

GENERATED = 8
ITERATIONS = {"quick": 24, "laptop": 24, "paper": 8}
SKIPPED = {"quick": 4, "laptop": 4, "paper": 3}
"""Iterations that warm up: processes start, caches fill, graphs are captured."""
SIMULATIONS = 752
"""Of all robots together where ``bodies`` is given: 8 bodies have 94 each, 200 have 4 each."""
DEVICE_HORIZON = 64
_MATRIX = {"cpu": 1024, "cuda": 8192}
_MATRIX_S = 0.5


def run(
    *,
    seed: int,
    preset: str = "quick",
    device: str = "auto",
    bodies: int | None = None,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Control steps a second of a teacher's loop and of its environments alone.

    The robots are the set ``unimal8`` where its folder is known, else generated ones; or as many
    ``bodies`` of all UNIMAL ones, then generated. Every epoch is done, whatever the KL.
    """
    robots, named = _robots(bodies, seed)
    config = configured(preset, device, seed, bodies and len(robots), settings or {})
    placed = place(config, robots, None)
    alone = benchmark.run(
        config.task, robots, config.simulations_per_robot, seed, placed.config.processes
    )
    reports = trained(config, robots, ITERATIONS[preset])[SKIPPED[preset] :]
    measured = speeds(placed, robots, reports)
    training = measured["training_steps_per_s"]
    return {
        "preset": preset,
        "robots": named,
        **measured,
        "environment_steps_per_s": float(alone["environment_steps_per_s"]),
        "physics_steps_per_s": float(alone["physics_steps_per_s"]),
        "ratio": training / float(alone["environment_steps_per_s"]),
        "ratio_to_physics": training / float(alone["physics_steps_per_s"]),
    }


def speeds(
    placed: Placed, robots: Sequence[Morphology], reports: Sequence[dict[str, float]]
) -> dict[str, Any]:
    """What iterations came to, against the device's matrix products in the same run."""
    config = placed.config
    training = median(report["steps_per_second"] for report in reports)
    fractions = {
        name: median(report[name] for report in reports)
        for name in sorted(reports[0])
        if name.startswith("share_")
    }
    matrix = matrix_flops(placed.device, precision_on(placed.device, config.precision))
    flops = _flops_a_step(config, robots)
    return {
        "bodies": len(robots),
        "simulations_per_robot": config.simulations_per_robot,
        "horizon": config.ppo.horizon,
        "processes": config.processes,
        "placement": config.placement,
        "device": str(placed.device),
        "machine": placed.text,
        "precision": precision_on(placed.device, config.precision),
        "training_steps_per_s": training,
        "iteration_s": len(robots) * config.simulations_per_robot * config.ppo.horizon / training,
        **fractions,
        "learner_busy": fractions["share_inference"] + fractions["share_update"],
        "flops_per_step": flops,
        "matrix_flops_per_s": matrix,
        "ratio_to_matrix_rate": flops * training / matrix,
        **_memory(placed.device),
    }


def _robots(bodies: int | None, seed: int) -> tuple[list[Morphology], str]:
    known = bool(os.environ.get(UNIMAL_VARIABLE))
    if bodies is None:
        if known:
            return [file.robot for file in built_in_files("unimal8")], "unimal8"
        return viable_robots(GENERATED, seed), f"{GENERATED} generated"
    unimal: dict[str, Morphology] = {}
    if known:
        folder = Path(os.environ[UNIMAL_VARIABLE]).resolve()
        for path in sorted((folder / "xml").glob("*.xml")):
            robot = read_robot_file(path, folder).robot
            unimal.setdefault(robot.digest, robot)
    robots = list(unimal.values())[:bodies]
    missing = bodies - len(robots)
    made = viable_robots(missing, seed) if missing else []
    return [*robots, *made], f"{len(robots)} unimal, {len(made)} generated"


def configured(
    preset: str, device: str, seed: int, bodies: int | None, settings: dict[str, Any]
) -> TeacherConfig:
    """A preset's teacher on so many bodies, or as it is; every epoch is done, whatever the KL."""
    config = named_teacher(preset)  # type: ignore[arg-type]
    ppo = config.ppo.model_copy(update={"stop_kl": None})
    changes: dict[str, Any] = {"seed": seed, "device": device}
    if bodies is not None:
        changes |= {"robots_at_once": 0}
        if preset == "paper":
            # As many samples an iteration as published, from all bodies side by side.
            samples = ppo.horizon * config.robots_at_once
            changes["simulations_per_robot"] = max(round(samples / DEVICE_HORIZON / bodies), 1)
            ppo = ppo.model_copy(update={"horizon": DEVICE_HORIZON})
        else:
            changes["simulations_per_robot"] = max(round(SIMULATIONS / bodies), 1)
    document = config.model_copy(update={**changes, "ppo": ppo}).model_dump()
    return TeacherConfig.model_validate(document | settings)


def trained(
    config: TeacherConfig,
    robots: Sequence[Morphology],
    iterations: int,
    tell: Callable[[dict[str, float]], None] = lambda values: None,
) -> list[dict[str, float]]:
    """The metrics of every iteration of a short training."""
    at_once = min(config.robots_at_once or len(robots), len(robots))
    steps = at_once * config.simulations_per_robot * config.ppo.horizon * iterations
    short = config.model_copy(update={"total_env_steps": steps, "checkpoint_every_s": 1e6})
    reports: list[dict[str, float]] = []

    def report(event: Event) -> None:
        if isinstance(event, Metrics):
            reports.append(dict(event.values))
            tell(reports[-1])

    with tempfile.TemporaryDirectory(prefix="hdtui-bench-") as folder:
        train_teacher(short, robots, StageContext(Path(folder), 1, report, lambda: False))
    return reports


def _flops_a_step(config: TeacherConfig, robots: Sequence[Morphology]) -> float:
    """Operations of the networks' products a control step costs: acting, judging and all epochs."""
    batch = robot_batch(robots, "cpu")
    packing = batch.packing(1)
    digests = tuple(robot.digest for robot in robots)
    build = (config.network, config.task.name, 0, digests, config.seed)
    observation = torch.zeros(packing.num_rows, 17)
    policy, critic = build_policy(*build), build_critic(*build)
    with torch.no_grad():
        encoding, critic_encoding = policy.encode(batch), critic.encode(batch)
        with FlopCounterMode(display=False) as counter:
            policy.mean(encoding, observation, packing, None)
            critic.value(critic_encoding, observation, packing, None)
    forward = counter.get_total_flops() / len(robots)
    return float(forward * (1 + 3 * config.ppo.epochs))


def matrix_flops(device: torch.device, precision: Any) -> float:
    """What a large matrix product reaches on a device (one thread on a CPU)."""
    size = _MATRIX[device.type]
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left, right = torch.randn(2, size, size, device=device).to(kind)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    best = 0.0
    try:
        with torch.inference_mode(), computing(device, precision):
            until = time.perf_counter() + _MATRIX_S
            while time.perf_counter() < until:
                _wait(device)
                start = time.perf_counter()
                left @ right
                _wait(device)
                best = max(best, 2.0 * size**3 / (time.perf_counter() - start))
    finally:
        torch.set_num_threads(threads)
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _memory(device: torch.device) -> dict[str, float]:
    """The most that this process held, and the most on the device, in MiB."""
    # Kilobytes on Linux, bytes on macOS.
    unit = 2.0**20 if sys.platform == "darwin" else 2.0**10
    memory = {"memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    if device.type == "cuda":
        memory["device_memory_mib"] = torch.cuda.max_memory_allocated() / 2.0**20
    return memory
