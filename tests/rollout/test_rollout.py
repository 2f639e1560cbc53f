"""Rows written step by step come back sample by sample."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.morphology.packing import Packing
from engine.rollout.rollout import Rollout, whole

CPU = torch.device("cpu")


@given(st.lists(st.integers(2, 5), min_size=1, max_size=5), st.integers(1, 3), st.integers(1, 4))
def test_a_sample_is_what_was_written(counts: list[int], per_robot: int, horizon: int) -> None:
    live = Packing(tuple(counts), per_robot)
    rollout = Rollout(live, horizon, (3, 2, 4), CPU)
    steps = [torch.randn(live.num_rows, 3) for _ in range(horizon)]
    heights = [torch.randn(live.num_environments, 4) for _ in range(horizon)]
    for step in range(horizon):
        rollout.write_rows(rollout.observation, step, steps[step], whole(live))
        rollout.write_terrain(step, heights[step], whole(live))
    for step in range(horizon):
        for simulation in range(per_robot):
            chosen = rollout.select(torch.tensor([step * per_robot + simulation]))
            for robot in range(live.num_robots):
                limbs = counts[robot]
                rows = steps[step][live.robot_rows[robot]].view(per_robot, limbs, 3)
                own = chosen.observation[chosen.packing.robot_rows[robot]]
                assert torch.equal(own, rows[simulation])
                environment = live.robot_environments[robot].start + simulation
                assert chosen.terrain is not None
                own_terrain = chosen.terrain[chosen.packing.robot_environments[robot]]
                assert torch.equal(own_terrain[0], heights[step][environment])


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
def test_steps_and_samples_are_two_views_of_the_same_numbers(
    robots: int, per_robot: int, horizon: int
) -> None:
    rollout = Rollout(Packing((3,) * robots, per_robot), horizon, (3, 2, 0), CPU)
    per_step = torch.arange(horizon * robots * per_robot).view(horizon, -1)
    per_sample = rollout.per_sample(per_step)
    assert per_sample.shape == (robots, horizon * per_robot)
    assert torch.equal(rollout.per_step(per_sample.reshape(-1)), per_step)
    assert per_sample[0, :per_robot].tolist() == per_step[0, :per_robot].tolist()
