"""What training does on this machine's device, measured part by part; docs/gpu.md says how.

Each part prints JSON lines as it goes, so that one that is cut off has said what it knew:

    python tests/gpu/measure.py check            networks and updates agree with the CPU's
    python tests/gpu/measure.py ppo              the published teacher on 93 bodies
    python tests/gpu/measure.py distillation     the published student, device against two cores
    python tests/gpu/measure.py train --seconds 200 --out FOLDER   a teacher on held-in bodies
"""

import argparse
import hashlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
DEVICE = os.environ.get("HDTUI_MEASURED_DEVICE", "cuda")
"""The CPU stands in for the device where there is none, to try the script."""
HELD_OUT = 16


def say(part: str, **numbers: Any) -> None:
    """One JSON line."""
    print(json.dumps({"part": part, **numbers}, default=str), flush=True)


def guarded(part: str, work: Callable[[], dict[str, Any]]) -> None:
    """Say what a part found, or how it failed; the next one follows anyway."""
    began = time.monotonic()
    try:
        numbers = work()
    except Exception as error:  # the point is to go on
        traceback.print_exc()
        numbers = {"error": f"{type(error).__name__}: {error}"[:2000]}
    say(part, **numbers, seconds=round(time.monotonic() - began, 2))


def unimal() -> list[Any]:
    """The distinct UNIMAL bodies of HDTUI_UNIMAL_DIR, those held out last."""
    from engine.morphology.mjcf import read_robot_file

    folder = Path(os.environ["HDTUI_UNIMAL_DIR"]).resolve()
    robots: dict[str, Any] = {}
    for path in sorted((folder / "xml").glob("*.xml")):
        robot = read_robot_file(path, folder).robot
        robots.setdefault(robot.digest, robot)
    return sorted(
        robots.values(), key=lambda robot: hashlib.sha256(robot.name.encode()).hexdigest()
    )


def machine() -> dict[str, Any]:
    """What this machine is."""
    import torch

    found: dict[str, Any] = {
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "cores": len(os.sched_getaffinity(0)),
        "cuda": torch.cuda.is_available(),
    }
    if torch.cuda.is_available():
        found["device"] = torch.cuda.get_device_name()
    return found


def attention(dtype_name: str) -> dict[str, Any]:
    """The kernel for few limbs against general attention, forward and backward."""
    import torch

    from engine.morphology.packing import Packing
    from engine.policies.attention import SelfAttention
    from engine.policies.few_limbs import attend_few_limbs

    torch.set_float32_matmul_precision("high")
    dtype = getattr(torch, dtype_name)
    packing = Packing((3, 12, 2, 5, 9, 9, 7), 64)
    layer = SelfAttention(128, 2).to(DEVICE)
    rows = torch.randn(packing.num_rows, 3 * 128, device=DEVICE)
    weights = torch.randn(packing.num_rows, 128, device=DEVICE)
    results = []
    torch.set_float32_matmul_precision("highest")
    for kernel in (False, True):
        own = rows.clone() if not kernel else rows.to(dtype)
        own.requires_grad_()
        mixed = attend_few_limbs(own, packing, 2) if kernel else layer.mixed(own, packing)
        (mixed.float() * weights).sum().backward()
        results.append((mixed.detach().float(), own.grad.float()))
    torch.set_float32_matmul_precision("high")
    (mixed, gradient), (own_mixed, own_gradient) = results
    return {
        "dtype": dtype_name,
        "forward_error": float((mixed - own_mixed).norm() / mixed.norm()),
        "gradient_error": float((gradient - own_gradient).norm() / gradient.norm()),
    }


def gradients() -> dict[str, Any]:
    """Gradients of the published policy on the device in each precision against the CPU's."""
    import torch

    from engine.config.network import named_network
    from engine.policies.build import build_policy
    from engine.policies.limb_network import fuse_layers
    from engine.policies.precision import computing
    from engine.policies.robots import robot_batch

    robots = unimal()[:16]
    found: dict[str, Any] = {}
    policy = build_policy(named_network("transformer", "published"), "flat", 0, (), 1)
    seen = torch.randn(robot_batch(robots, "cpu").packing(16).num_rows, 17)

    def gradient(device: str, precision: Any) -> torch.Tensor:
        policy.to(device).zero_grad(set_to_none=True)
        batch = robot_batch(robots, device)
        packing = batch.packing(16)
        with computing(torch.device(device), precision):
            mean = policy.mean(policy.encode(batch), seen.to(device), packing, None)
            mean.square().sum().backward()
        return torch.cat(
            [p.grad.float().flatten().cpu() for p in policy.parameters() if p.grad is not None]
        )

    reference = gradient("cpu", "float32")
    for fused in (False, True):
        if fused:
            fuse_layers(policy)
        for precision in ("float32", "tf32", "bfloat16"):
            began = time.monotonic()
            own = gradient(DEVICE, precision)
            found[f"{precision}{'_fused' if fused else ''}"] = {
                "relative_error": float((own - reference).norm() / reference.norm()),
                "cosine": float(torch.cosine_similarity(own, reference, 0)),
                "seconds": round(time.monotonic() - began, 2),
            }
    return found


def trained(config: Any, robots: Sequence[Any], report: Any, seconds: float | None = None) -> Any:
    """Train in a folder that goes; the metrics of every iteration."""
    import tempfile

    from engine.events import Metrics, StageContext
    from engine.ppo import train_teacher

    metrics: list[dict[str, float]] = []

    def note(event: Any) -> None:
        if isinstance(event, Metrics):
            metrics.append(dict(event.values))
        report(event)

    with tempfile.TemporaryDirectory() as folder:
        train_teacher(config, robots, StageContext(Path(folder), 1, note, lambda: False))
    return metrics


def small_training(**settings: Any) -> dict[str, Any]:
    """Some iterations of a small teacher: its last numbers, to be compared with others'."""
    from engine.config.network import NetworkConfig
    from engine.config.teacher import PpoConfig, TeacherConfig

    config = TeacherConfig(
        total_env_steps=8 * 16 * 32 * 8,
        simulations_per_robot=16,
        processes=4,
        placement="apart",
        network=NetworkConfig(attention="self", width=64, critic="same", moments="published"),
        ppo=PpoConfig(horizon=32, minibatches=3, learning_rate=1e-3, schedule="cosine"),
    ).model_copy(update=settings)
    last = trained(config, unimal()[:8], lambda event: None)[-1]
    names = ("return", "approximate_kl", "value_loss", "gradient_norm", "steps_per_second")
    return {name: last.get(name) for name in names} | {
        name: last[name] for name in last if name.startswith("share_")
    }


def check() -> None:
    """Networks and updates on the device against the CPU's."""
    say("machine", **machine())
    if DEVICE == "cuda":
        for dtype in ("float32", "bfloat16"):
            guarded("attention", lambda dtype=dtype: attention(dtype))
    guarded("small, cpu", lambda: small_training(device="cpu"))
    plain: dict[str, Any] = {"device": DEVICE, "precision": "float32"}
    off = {"cuda_graphs": False, "compiled": False}
    guarded("small, plain", lambda: small_training(**plain, **off))
    guarded("small, graphs", lambda: small_training(**plain, compiled=False))
    guarded("small, graphs, tf32", lambda: small_training(device=DEVICE, compiled=False))
    guarded("gradients", gradients)
    guarded(
        "small, graphs, fused, bfloat16",
        lambda: small_training(device=DEVICE, precision="bfloat16"),
    )


def ppo(variants: Sequence[str]) -> None:
    """The published teacher on 93 bodies: each iteration as it ends, then the whole."""
    from engine.ppo.placement import place
    from engine.workers.tools import bench_ppo

    settings: dict[str, dict[str, Any]] = {
        "bfloat16": {"precision": "bfloat16"},
        "tf32": {"precision": "tf32"},
        "bfloat16, not fused": {"precision": "bfloat16", "compiled": False},
        "bfloat16, no graphs": {"precision": "bfloat16", "cuda_graphs": False},
        "plain": {"precision": "float32", "cuda_graphs": False, "compiled": False},
    }

    def measured(name: str) -> dict[str, Any]:
        began = time.monotonic()

        def tell(values: dict[str, float]) -> None:
            parts = {key: round(values[key], 3) for key in values if key.startswith("share_")}
            speed, kl = round(values["steps_per_second"]), values["approximate_kl"]
            at = round(time.monotonic() - began, 1)
            say(f"ppo, {name}", at_s=at, steps_per_second=speed, kl=round(kl, 5), **parts)

        robots = unimal()
        config = bench_ppo.configured("paper", DEVICE, 1, len(robots), settings[name])
        placed = place(config, robots, None)
        say(f"ppo, {name}", machine=placed.text)
        reports = bench_ppo.trained(config, robots, 8, tell)[3:]
        return bench_ppo.speeds(placed, robots, reports)

    for name in variants:
        guarded(f"ppo, {name}", lambda name=name: measured(name))
    guarded("environments", environments)


def environments() -> dict[str, Any]:
    """Control steps a second of all simulation processes with nobody to wait for."""
    import torch

    from engine.policies.robots import robot_batch
    from engine.ppo.placement import place
    from engine.ppo.simulation_processes import SimulationProcesses
    from engine.workers.tools import bench_ppo

    robots = unimal()
    config = bench_ppo.configured("paper", "cpu", 1, len(robots), {"placement": "apart"})
    config = place(config, robots, None).config
    with SimulationProcesses(config, robots, torch.device("cpu")) as processes:
        per_robot = config.simulations_per_robot
        groups = processes.groups(robot_batch(robots, "cpu").packing(per_robot))
        actions = [2 * torch.rand(group.part.live.num_rows, 2) - 1 for group in groups]
        for rounds in (20, 100):  # the first to warm up
            start = time.perf_counter()
            for _ in range(rounds):
                for group, own in zip(groups, actions, strict=True):
                    group.wait()
                    group.step(own)
            for group in groups:
                group.wait()
            seconds = time.perf_counter() - start
    steps = rounds * len(robots) * per_robot
    return {"processes": config.processes, "steps_per_second": steps / seconds}


def distillation() -> None:
    """The published student at 64 robots x 80 samples: samples a second."""
    import torch

    from engine.distillation.benchmark import training_rate

    guarded(
        "distillation, 2 threads",
        lambda: training_rate(torch.device("cpu"), threads=2, seconds=15.0),
    )
    for precision in ("tf32", "bfloat16"):
        guarded(
            f"distillation, {precision}",
            lambda precision=precision: training_rate(
                torch.device(DEVICE), precision=precision, seconds=5.0, captured=True
            ),
        )


def keep_policy(checkpoint: Path, path: Path) -> None:
    """The policy alone of a checkpoint, whose critics and moments are a hundred times larger."""
    from engine.checkpoints import load_checkpoint, prefixed, save_checkpoint, select
    from engine.rollout.saved_policy import POLICY_PREFIX

    tensors, document = load_checkpoint(checkpoint)
    save_checkpoint(path, prefixed(POLICY_PREFIX, select(tensors, POLICY_PREFIX)), document)


def train(seconds: float, out: Path, mutants: int, settings: dict[str, Any]) -> None:
    """A teacher of the held-in bodies and their mutants for so long; its files go to ``out``."""
    import shutil
    import tempfile

    from engine.config.teacher import TeacherConfig, named_teacher
    from engine.events import ArtifactWritten, CheckpointWritten, Event, Metrics, StageContext
    from engine.morphology.mutation import each_mutant
    from engine.ppo import train_teacher

    robots = unimal()[:-HELD_OUT]
    robots += list(each_mutant(robots, mutants, 1)) if mutants else []
    config = named_teacher("laptop").model_copy(
        update={
            "total_env_steps": 10**9,
            "time_limit_s": seconds,
            "checkpoint_every_s": 60.0,
            "device": DEVICE,
            "placement": "apart",
        }
    )
    config = TeacherConfig.model_validate(config.model_dump() | settings)
    out.mkdir(parents=True, exist_ok=True)
    say("train", robots=len(robots), config=config.model_dump(mode="json"))
    with tempfile.TemporaryDirectory() as folder, (out / "curve.jsonl").open("w") as curve:

        def report(event: Event) -> None:
            if isinstance(event, Metrics):
                line = {"step": event.step, **event.values}
                curve.write(json.dumps(line) + "\n")
                curve.flush()
                if event.iteration % 10 == 0:
                    say("train", **line)
            elif isinstance(event, CheckpointWritten):
                keep_policy(event.path, out / "policy.safetensors")
            elif isinstance(event, ArtifactWritten):
                shutil.copyfile(event.path, out / "policy.safetensors")
            else:
                say("train", **asdict(event))

        train_teacher(config, robots, StageContext(Path(folder), 1, report, lambda: False))


def main() -> None:
    """Measure a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["check", "ppo", "distillation", "train"])
    parser.add_argument("--variants", nargs="*", default=["bfloat16", "tf32"])
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--mutants", type=int, default=1)
    parser.add_argument("--settings", type=json.loads, default={})
    arguments = parser.parse_args()
    if arguments.part == "check":
        check()
    elif arguments.part == "ppo":
        ppo(arguments.variants)
    elif arguments.part == "distillation":
        distillation()
    else:
        train(arguments.seconds, arguments.out, arguments.mutants, arguments.settings)


if __name__ == "__main__":
    main()
