"""The student's return while it learns: a few episodes on a few robots, trained and held out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.config.base import TaskConfig
from engine.config.distillation import StudentConfig
from engine.distillation.dataset import RobotData, Split
from engine.environments import VectorEnvironment
from engine.errors import StopRequestedError
from engine.events import Metrics
from engine.morphology.tree import Morphology
from engine.policies.policy import Policy
from engine.rollout.actors import ControllerActor
from engine.rollout.processes import ShouldStop


@dataclass(frozen=True)
class StudentReturns:
    """What is measured and on whom: the same robots and resets every time."""

    task: TaskConfig
    seed: int
    episodes: int
    trained: tuple[Morphology, ...]
    held_out: tuple[Morphology, ...]

    def metrics(self, policy: Policy, step: int, epoch: int, should_stop: ShouldStop) -> Metrics:
        """Mean returns of ``policy``, which is on the CPU: ``return_train``, ``return_heldout``.

        Raises:
            StopRequestedError: a stop was asked for.
        """
        robots = self.trained + self.held_out
        returns = self._returns(policy, robots, should_stop)
        groups = {"return_train": self.trained, "return_heldout": self.held_out}
        values = {
            name: float(np.mean([returns[robot.digest] for robot in group]))
            for name, group in groups.items()
            if group
        }
        by_robot = {digest: {"student_return": value} for digest, value in returns.items()}
        return Metrics(step, epoch, values, by_robot)

    def _returns(
        self, policy: Policy, robots: Sequence[Morphology], should_stop: ShouldStop
    ) -> dict[str, float]:
        """Mean return of each robot's first episodes, with mean actions, by digest."""
        environment = VectorEnvironment(
            robots, self.task, self.episodes, self.seed, seed_episodes=True
        )
        environment.reset()
        actor = ControllerActor(policy, 0.0, robots, self.episodes)
        totals = np.zeros(len(robots))
        left = len(robots) * self.episodes
        while left:
            if should_stop():
                raise StopRequestedError("stopped while the student's return was measured")
            environment.step(actor.means(environment.observation, environment.terrain))
            if not (environment.terminated | environment.truncated).any():
                continue
            ended = environment.finished_episodes()
            first = ended.episode == 0
            np.add.at(totals, ended.robot[first], ended.episode_return[first])
            left -= int(first.sum())
        digests = (robot.digest for robot in robots)
        return dict(zip(digests, (totals / self.episodes).tolist(), strict=True))


def student_returns(config: StudentConfig, task: TaskConfig, split: Split) -> StudentReturns:
    """The watch of a run; students on more or fewer robots of one collection share its robots."""

    def some(robots: Sequence[RobotData]) -> tuple[Morphology, ...]:
        return tuple(data.robot for data in robots[: config.return_robots])

    return StudentReturns(
        task,
        config.seed,
        config.return_episodes,
        some(split.training.robots),
        some(split.held_out_robots.robots),
    )
