"""Curves that look like learning and are none: the demo's numbers are made up."""

from collections.abc import Iterator, Sequence

import numpy as np

from db.queries.bulk import WholeCurve
from engine.random import generator

ITERATION_STEPS = 8_192
_ROBOT_METRICS = ("return", "falls", "episode_length", "speed")
ITERATION_S = 2.2


def teacher_curves(
    run_id: int, digests: Sequence[str], iterations: int, final_return: float
) -> Iterator[WholeCurve]:
    """All curves of a teacher that has worked for so many iterations."""
    values = {"": teacher_values(run_id, iterations, final_return)}
    random = generator(run_id, "demo robots")
    for digest in digests:
        scale = float(random.uniform(0.5, 1.5))
        robot = teacher_values(run_id + len(values), iterations, final_return * scale)
        values[digest] = {name: robot[name] for name in _ROBOT_METRICS}
    for digest, series in values.items():
        for name, value in series.items():
            yield _curve(run_id, name, digest, value, ITERATION_STEPS, ITERATION_S)


def teacher_values(seed: int, iterations: int, final_return: float) -> dict[str, list[float]]:
    """A value for each iteration by metric."""
    random = generator(seed, "demo teacher")
    share = np.linspace(0, 1, iterations)
    noise = random.normal(0, 1, (6, iterations))
    learned = share**1.4 * (1 + 0.06 * noise[0])
    series = {
        "return": final_return * learned,
        "episode_length": 180 + 740 * np.clip(learned, 0, 1.1),
        "falls": np.clip(0.95 - 0.7 * learned + 0.03 * noise[1], 0, 1),
        "speed": 0.1 + 1.9 * learned,
        "value_loss": 0.4 * np.exp(-4 * share) + 0.04 + 0.004 * np.abs(noise[2]),
        "policy_loss": -0.008 + 0.002 * noise[3],
        "approximate_kl": 0.018 + 0.002 * noise[4],
        "clip_fraction": 0.14 + 0.02 * noise[5],
        "explained_variance": 0.9 - 0.7 * np.exp(-6 * share),
        "action_std": 0.9 - 0.3 * share,
        "gradient_norm": 0.6 + 0.05 * noise[1],
        "learning_rate": 1e-3 * (1 - 0.5 * share),
        "steps_per_second": 3_700 + 90 * noise[2],
        "share_update": 0.61 + 0.01 * noise[3],
        "share_physics": 0.21 + 0.01 * noise[4],
        "share_inference": 0.15 + 0 * share,
        "share_observation": 0.02 + 0 * share,
    }
    return {name: np.asarray(value, float).tolist() for name, value in series.items()}


def student_curves(
    run_id: int, points: int = 80, every_steps: int = 10, speed: float = 5.0
) -> Iterator[WholeCurve]:
    """All curves of a student that has seen its data; it learns ``speed`` times in its epochs."""
    random = generator(run_id, "demo student")
    share = np.linspace(0, 1, points)
    loss = 0.3 * np.exp(-speed * share) + 0.008 + 0.002 * np.abs(random.normal(0, 1, points))
    series = {
        "loss": loss,
        "held_out_sample_loss": 1.1 * loss + 0.001,
        "held_out_robot_loss": 1.6 * loss + 0.004,
        "gradient_norm": 0.4 * loss + 0.02,
        "learning_rate": 5e-4 * (1 - 0.8 * share),
        "samples_per_s": 6_100 + 60 * random.normal(0, 1, points),
    }
    for name, value in series.items():
        yield _curve(run_id, name, "", value.tolist(), every_steps, 3.1)


def _curve(
    run_id: int, name: str, digest: str, value: Sequence[float], every_steps: int, every_s: float
) -> WholeCurve:
    count = len(value)
    return WholeCurve(
        run_id,
        name,
        digest,
        step=[every_steps * (index + 1) for index in range(count)],
        iteration=list(range(1, count + 1)),
        wall_s=[every_s * (index + 1) for index in range(count)],
        value=value,
    )
