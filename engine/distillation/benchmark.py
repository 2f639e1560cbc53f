"""Grouped distillation against one hypernetwork pass per sample, in one run on this machine.

The grouped step is the one that trains students, from gathering a minibatch to Adam, on one thread.
The per-sample step is the published way, written here on the same modules, its samples at hand:
every sample has its robot's context row by row through encoders and heads, and a base MLP of its
own through ``bmm``.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from engine.config.distillation import StudentConfig, student_network
from engine.config.network import NetworkConfig
from engine.distillation.device_samples import reader_of
from engine.distillation.device_training import DeviceSteps
from engine.distillation.imitation import balanced_weights, imitation_loss
from engine.distillation.minibatches import Choice, IntArray, Minibatch, MinibatchReader
from engine.distillation.shards import ShardArrays
from engine.distillation.thread_gradients import ThreadGradients
from engine.morphology.generation import generate
from engine.morphology.packing import Packing
from engine.morphology.tree import Morphology
from engine.policies.build import build_policy
from engine.policies.controller import BucketContext, Controller, RobotBatch, device_name
from engine.policies.policy import HypernetworkPolicy, Policy
from engine.policies.precision import Precision, computing
from engine.policies.widths import network_widths
from engine.rollout.children import use_one_thread

_SEED = 0
_GRADIENT_NORM = 0.5
_GEMM_SIZE = 1024
_SINGLE_SAMPLES = 4
"""Samples a robot of the per-sample step, whose memory grows with each."""
_CPU = torch.device("cpu")
_WARM_UP_STEPS = 10
_STEPS_A_LOOK = 10
"""Steps of a timed loop between two looks at the clock, which wait for the device."""


@dataclass(frozen=True)
class Batch:
    """Random samples of made-up robots: speed and gradients depend on shapes alone."""

    robots: RobotBatch
    packing: Packing
    observation: Tensor
    targets: Tensor

    def per_sample(self) -> "Batch":
        """The same samples, each as a robot of its own."""
        copies = self.packing.per_robot
        buckets = []
        for own in self.robots.buckets:
            count = len(own.robots) * copies
            context, raw, mask = (
                tensor.repeat_interleave(copies, dim=0)
                for tensor in (own.transformed, own.normalized_raw_context, own.joint_mask)
            )
            buckets.append(BucketContext(tuple(range(count)), context, raw, raw, mask))
        limb_counts = tuple(
            own.joint_mask.shape[1] for own in buckets for _ in range(len(own.joint_mask))
        )
        names = tuple(str(index) for index in range(len(limb_counts)))
        robots = RobotBatch(limb_counts, names, names, tuple(buckets))
        return replace(self, robots=robots, packing=robots.packing(1))


def random_batch(
    num_robots: int, samples_per_robot: int, dtype: torch.dtype = torch.float32
) -> Batch:
    """Robots of 5 to 11 limbs (UNIMAL-100's range) with random contexts, samples and targets."""
    rng = np.random.default_rng(_SEED)
    draw = torch.Generator().manual_seed(_SEED)
    widths = network_widths(0)
    limb_counts = tuple(rng.integers(5, 12, size=num_robots).tolist())
    packing = Packing(limb_counts, samples_per_robot)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=dtype)

    buckets = []
    for bucket in packing.buckets:
        shape = (len(bucket.robots), bucket.limb_count)
        raw = normal(*shape, widths.raw_context)
        mask = torch.rand(*shape, widths.joint_slots, generator=draw) < 0.7
        mask[:, 0] = False
        mask[:, 1, 0] = True
        buckets.append(BucketContext(bucket.robots, normal(*shape, widths.context), raw, raw, mask))
    names = tuple(str(index) for index in range(num_robots))
    return Batch(
        robots=RobotBatch(limb_counts, names, names, tuple(buckets)),
        packing=packing,
        observation=normal(packing.num_rows, widths.observation),
        targets=normal(packing.num_rows, widths.joint_slots),
    )


def batch_loss(policy: Controller, batch: Batch) -> Tensor:
    """The balanced loss of a batch; whether it groups samples by robot is the batch's matter."""
    means = policy.mean(policy.encode(batch.robots), batch.observation, batch.packing, None)
    weights = balanced_weights(batch.robots, batch.packing)
    return imitation_loss(means, batch.targets, weights.to(means.dtype))


def gradient_relative_error(config: NetworkConfig, batch: Batch) -> float:
    """Largest difference of a parameter's grouped and per-sample gradients over its norm, float64.

    Both gradients are those of a fresh student without dropout whose heads were moved off zero.
    """
    policy = _student(config.model_copy(update={"dropout": 0.0})).double()
    draw = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for parameter in policy.parameters():
            noise = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
            parameter.add_(noise, alpha=0.02)
    grouped = _gradients(policy, batch)
    single = _gradients(policy, batch.per_sample())
    errors = [
        float((one - other).norm() / other.norm().clamp(min=1e-12))
        for one, other in zip(grouped, single, strict=True)
    ]
    return max(errors)


def benchmark_distillation(
    seconds: float = 8.0,
    *,
    network: NetworkConfig | None = None,
    robots: int = 64,
    samples: int = 80,
) -> dict[str, float]:
    """The published student at 64 robots x 80 samples: speeds per CPU-second, and agreement.

    Both steps together are timed for ``seconds``; gradients are compared on a small batch.
    """
    network = student_network("published") if network is None else network
    config = StudentConfig(network=network, threads=1, learning_rate=1e-4, device="cpu")
    reader = MinibatchReader(made_up_robots(robots, samples), _CPU)
    choice = _choice(robots, samples)
    grouped = _batch(reader.read(choice))
    single = _batch(reader.read(_choice(robots, min(samples, _SINGLE_SAMPLES)))).per_sample()
    policy = _student(network)
    threads = torch.get_num_threads()
    use_one_thread()
    try:
        gemm_flops = _gemm_flops_per_cpu_s(seconds / 16)
        steps = {
            "grouped": _training_step(config, policy, reader, choice),
            "per_sample": _step(policy, single),
        }
        per_step = {name: _cpu_seconds(step, seconds / 2) for name, step in steps.items()}
        gemm_flops = max(gemm_flops, _gemm_flops_per_cpu_s(seconds / 16))
    finally:
        torch.set_num_threads(threads)
    grouped_rate = grouped.packing.num_environments / per_step["grouped"]
    single_rate = single.packing.num_environments / per_step["per_sample"]
    error = gradient_relative_error(network, random_batch(8, 4, torch.float64))
    return {
        "grouped_samples_per_cpu_s": grouped_rate,
        "per_sample_samples_per_cpu_s": single_rate,
        "speedup": grouped_rate / single_rate,
        "gradient_relative_error": error,
        "gemm_fraction": step_flops(policy, grouped) / per_step["grouped"] / gemm_flops,
    }


def training_rate(
    device: torch.device,
    *,
    precision: Precision = "float32",
    threads: int = 1,
    seconds: float = 10.0,
    captured: bool = False,
    size: tuple[int, int] = (64, 80),
) -> dict[str, Any]:
    """Samples a second, by the clock, that the published student learns from on a device.

    Minibatches are of ``size`` (robots, samples of each), out of twice as many robots. ``captured``
    takes steps as a graph on padded robots.
    """
    robots, samples = size
    config = StudentConfig(network=student_network("published"), threads=threads)
    data = made_up_robots(2 * robots, samples)
    policy = _student(config.network).to(device)
    optimizer = torch.optim.Adam(policy.parameters(), lr=config.learning_rate, fused=True)
    rng = np.random.default_rng(_SEED)
    steps = None
    if captured and isinstance(policy, HypernetworkPolicy):
        steps = DeviceSteps(config, policy, optimizer, data, device)
    gradients = ThreadGradients(config, policy, reader_of(data, device), device)

    def step(number: int) -> Tensor:
        chosen = rng.permutation(2 * robots)[:robots]
        choice = Choice(tuple(chosen.tolist()), np.tile(np.arange(samples), (robots, 1)))
        if steps is not None:
            return steps.take(choice, number, config.learning_rate)[0]
        loss = gradients.backward(choice, number)
        torch.nn.utils.clip_grad_norm_(policy.parameters(), config.gradient_norm)
        optimizer.step()
        return loss

    with computing(device, precision):
        for number in range(_WARM_UP_STEPS):
            float(step(number))
        start = time.perf_counter()
        taken = 0
        while time.perf_counter() - start < seconds:
            for _ in range(_STEPS_A_LOOK):
                loss = step(taken)
                taken += 1
            float(loss)  # what is queued is done
        elapsed = time.perf_counter() - start
    return {
        "device": device_name(device),
        "precision": precision,
        "threads": threads,
        "captured": captured,
        "step_ms": 1e3 * elapsed / taken,
        "samples_per_s": taken * robots * samples / elapsed,
    }


@dataclass(frozen=True)
class MadeUpRobot:
    """A generated robot with random samples."""

    robot: Morphology
    arrays: ShardArrays

    @property
    def parts(self) -> tuple[ShardArrays, ...]:
        """All its samples."""
        return (self.arrays,)

    def take(self, samples: IntArray) -> ShardArrays:
        """Copies of some samples."""
        return self.arrays.take(samples)


def made_up_robots(num_robots: int, samples: int) -> list[MadeUpRobot]:
    """Robots of the design space, each with so many random samples."""
    rng = np.random.default_rng(_SEED)
    widths = network_widths(0)

    def normal(robot: Morphology, width: int) -> np.ndarray:
        shape = (samples, robot.num_limbs, width)
        return rng.standard_normal(shape).astype(np.float32)

    return [
        MadeUpRobot(
            robot,
            ShardArrays(
                normal(robot, widths.observation),
                normal(robot, widths.joint_slots),
                normal(robot, widths.joint_slots),
                None,
            ),
        )
        for robot in generate(num_robots, seed=_SEED)
    ]


def _choice(robots: int, samples: int) -> Choice:
    """So many samples of every robot."""
    return Choice(tuple(range(robots)), np.tile(np.arange(samples), (robots, 1)))


def _batch(minibatch: Minibatch) -> Batch:
    return Batch(minibatch.robots, minibatch.packing, minibatch.observation, minibatch.action_mean)


def step_flops(policy: Policy, batch: Batch) -> float:
    """Floating-point operations of the matrix products of one gradient step."""
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(batch_loss(policy, batch))
    return float(counter.get_total_flops())


def _student(config: NetworkConfig) -> Policy:
    return build_policy(config, "flat", 0, (), _SEED).train()


def _gradients(policy: Policy, batch: Batch) -> list[Tensor]:
    loss = batch_loss(policy, batch)
    return list(torch.autograd.grad(loss, list(policy.parameters())))


def _training_step(
    config: StudentConfig, policy: Policy, reader: MinibatchReader, choice: Choice
) -> Callable[[], None]:
    optimizer = torch.optim.Adam(policy.parameters(), lr=config.learning_rate, fused=True)
    gradients = ThreadGradients(config, policy, reader, _CPU)

    def step() -> None:
        gradients.backward(choice, 0)
        torch.nn.utils.clip_grad_norm_(policy.parameters(), config.gradient_norm)
        optimizer.step()

    return step


def _step(policy: Policy, batch: Batch) -> Callable[[], None]:
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(batch_loss(policy, batch))
        torch.nn.utils.clip_grad_norm_(policy.parameters(), _GRADIENT_NORM)
        optimizer.step()

    return step


def _cpu_seconds(step: Callable[[], None], seconds: float) -> float:
    """Median CPU time of a step over at least ``seconds``, after one to warm up."""
    step()
    durations: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(durations) < 3:
        start = time.process_time()
        step()
        durations.append(time.process_time() - start)
    return float(np.median(durations))


def _gemm_flops_per_cpu_s(seconds: float) -> float:
    """What this machine's matrix product reaches on one thread."""
    left, right = torch.randn(2, _GEMM_SIZE, _GEMM_SIZE)
    out = torch.empty(_GEMM_SIZE, _GEMM_SIZE)

    def step() -> None:
        torch.mm(left, right, out=out)

    return 2.0 * _GEMM_SIZE**3 / _cpu_seconds(step, seconds)
