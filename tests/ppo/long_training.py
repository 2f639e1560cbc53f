"""A training run of two processes that goes on until somebody ends it; says when it iterates.

Its arguments are a folder and a placement.
"""

import sys
from pathlib import Path

from engine.config.network import NetworkConfig
from engine.config.teacher import PpoConfig, TeacherConfig
from engine.events import Event, Metrics, StageContext
from engine.morphology.generation import generate
from engine.ppo import train_teacher


def report(event: Event) -> None:
    if isinstance(event, Metrics):
        sys.stdout.write(f"iteration {event.iteration}\n")
        sys.stdout.flush()


def main() -> None:
    config = TeacherConfig(
        total_env_steps=10**9,
        processes=2,
        placement="apart" if "apart" in sys.argv else "together",
        simulations_per_robot=2,
        network=NetworkConfig(width=8, layers=1, heads=1, feedforward_width=8),
        ppo=PpoConfig(horizon=4, minibatches=1),
    )
    context = StageContext(Path(sys.argv[1]), 1, report, lambda: False)
    train_teacher(config, generate(2, seed=1), context)


if __name__ == "__main__":
    main()
