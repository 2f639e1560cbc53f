"""GAE by hand: discount 0.5, lambda 0.5, so that every number can be followed with a pencil."""

import torch
from torch import Tensor

from engine.ppo.objective import discounted_sums, generalized_advantages

REWARDS = torch.tensor([[1.0], [2.0], [3.0]])
VALUES = torch.tensor([[4.0], [2.0], [8.0]])
LAST = torch.tensor([6.0])
NOTHING = torch.zeros(3, 1, dtype=torch.bool)


def advantages(terminated: Tensor, truncated: Tensor, final_values: Tensor) -> list[float]:
    result = generalized_advantages(
        REWARDS, VALUES, final_values, LAST, terminated, truncated, (0.5, 0.5)
    )
    return result[:, 0].tolist()


def at(step: int) -> Tensor:
    mask = NOTHING.clone()
    mask[step] = True
    return mask


def test_without_an_end_every_step_continues() -> None:
    # surprises: 1 + 1 - 4 = -2, 2 + 4 - 2 = 4, 3 + 3 - 8 = -2
    # backwards: -2; 4 - 2 / 4 = 3.5; -2 + 3.5 / 4 = -1.125
    assert advantages(NOTHING, NOTHING, torch.zeros(3, 1)) == [-1.125, 3.5, -2.0]


def test_a_terminated_step_has_no_future() -> None:
    # surprises: -2, 2 + 0 - 2 = 0, -2; nothing is carried over the end at step 1
    assert advantages(at(1), NOTHING, torch.full((3, 1), 100.0)) == [-2.0, 0.0, -2.0]


def test_a_truncated_step_continues_from_its_final_value() -> None:
    # surprises: -2, 2 + 10 / 2 - 2 = 5, -2; nothing else is carried over the end at step 1
    assert advantages(NOTHING, at(1), torch.full((3, 1), 10.0)) == [-0.75, 5.0, -2.0]


def test_both_ends_in_one_rollout() -> None:
    # truncated at 0: 1 + 10 / 2 - 4 = 2; terminated at 2: 3 + 0 - 8 = -5; 4 - 5 / 4 = 2.75
    assert advantages(at(2), at(0), torch.full((3, 1), 10.0)) == [2.0, 2.75, -5.0]


def test_a_step_that_is_both_has_no_future() -> None:
    assert advantages(at(1), at(1), torch.full((3, 1), 10.0)) == [-2.0, 0.0, -2.0]


def test_environments_do_not_mix() -> None:
    twice = [torch.cat([column, column], dim=1) for column in (REWARDS, VALUES)]
    ends = torch.cat([NOTHING, at(1)], dim=1)
    result = generalized_advantages(
        *twice, torch.zeros(3, 2), torch.cat([LAST, LAST]), ends, ends & False, (0.5, 0.5)
    )
    assert result.T.tolist() == [[-1.125, 3.5, -2.0], [-2.0, 0.0, -2.0]]


def test_discounted_sums_start_anew_after_an_end_and_continue_over_rollouts() -> None:
    sums, rest = discounted_sums(REWARDS, at(1), torch.tensor([8.0]), 0.5)
    assert sums[:, 0].tolist() == [5.0, 4.5, 3.0]
    assert rest.tolist() == [3.0]
