"""Returns while a student learns: on the same robots, repeatable, harmless to what is learned."""

from pathlib import Path

import numpy as np
import pytest
from listening import Listener, same_student

from engine.config.base import TaskConfig
from engine.config.distillation import StudentConfig
from engine.distillation.dataset import load_dataset, split_dataset
from engine.distillation.student_returns import StudentReturns, student_returns
from engine.distillation.training import train_student
from engine.environments import VectorEnvironment
from engine.errors import StopRequestedError
from engine.events import Metrics
from engine.morphology.tree import Morphology
from engine.rollout.actors import ControllerActor
from engine.rollout.saved_policy import load_policy


def test_a_return_is_the_sum_of_the_first_episodes_rewards(
    robots: list[Morphology], teacher_path: Path
) -> None:
    policy, task = load_policy(teacher_path)[0], TaskConfig(episode_steps=6)
    watch = StudentReturns(task, 3, 2, tuple(robots[:1]), ())
    environment = VectorEnvironment(robots[:1], task, 2, 3, seed_episodes=True)
    environment.reset()
    actor = ControllerActor(policy, 0.0, robots[:1], 2)
    total = 0.0
    for _ in range(6):
        environment.step(actor.means(environment.observation, None))
        assert not environment.terminated.any()
        total += float(environment.reward.sum(dtype=np.float64))
    metrics = watch.metrics(policy, 7, 1, lambda: False)
    assert metrics.values == {"return_train": pytest.approx(total / 2, rel=1e-4)}
    assert metrics.step == 7


def test_returns_are_reported_at_regular_steps_and_change_nothing_else(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    plain = student_config.model_copy(update={"epochs": 2})
    watched = plain.model_copy(
        update={"return_every_steps": 4, "return_robots": 2, "return_episodes": 1}
    )
    listener = Listener()
    paths = [
        train_student(plain, expert_folder, Listener().context(tmp_path / "plain")),
        train_student(watched, expert_folder, listener.context(tmp_path / "watched")),
    ]
    assert same_student(*paths)
    steps = list(listener.points("return_train"))
    assert steps[:3] == [0, 4, 8]
    assert list(listener.points("return_heldout")) == steps
    reported = [e.robots for e in listener.events if isinstance(e, Metrics) and e.robots]
    assert {len(each) for each in reported} == {3}  # two trained, and the one held out


def test_students_on_fewer_robots_are_measured_on_the_same_ones(
    expert_folder: Path, student_config: StudentConfig
) -> None:
    dataset = load_dataset(expert_folder)
    watches = [
        student_returns(config, dataset.manifest.source.task, split_dataset(dataset, config))
        for robots in (1, 3)
        for config in [student_config.model_copy(update={"max_robots": robots})]
    ]
    assert watches[0].held_out == watches[1].held_out
    assert watches[0].trained == watches[1].trained[:1]


def test_a_stop_while_returns_are_measured_leaves_a_checkpoint(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    config = student_config.model_copy(update={"return_every_steps": 3, "epochs": 2})
    listener = Listener(stop_after=3)
    with pytest.raises(StopRequestedError, match="return"):
        train_student(config, expert_folder, listener.context(tmp_path))
    context = Listener().context(tmp_path, 2, listener.last_checkpoint())
    assert train_student(config, expert_folder, context).is_file()
