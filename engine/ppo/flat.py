"""All parameters of a network as one vector: clipping, summing and Adam are one pass each."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class FlatParameters:
    """Views every parameter (and its gradient) as a slice of one vector, and steps it by Adam."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        members = list(parameters)
        self.vector = nn.Parameter(torch.cat([member.detach().reshape(-1) for member in members]))
        self.gradient = torch.zeros_like(self.vector.data)
        self.vector.grad = self.gradient
        first = 0
        for member in members:
            end = first + member.numel()
            member.data = self.vector.data[first:end].view_as(member)
            member.grad = self.gradient[first:end].view_as(member)
            first = end
        self.optimizer = torch.optim.Adam([self.vector], eps=1e-5, fused=True)

    def clear_gradient(self) -> None:
        """Set the gradient to zero, in place."""
        self.gradient.zero_()

    def clip_gradient(self, largest_norm: float) -> float:
        """Scale the gradient down to ``largest_norm`` and return the norm it had."""
        norm = float(self.gradient.norm())
        if norm > largest_norm:
            self.gradient.mul_(largest_norm / norm)
        return norm

    def step(self, learning_rate: float) -> None:
        """One step of Adam."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Adam's moments; the parameters are saved under their own names."""
        moments = self.optimizer.state[self.vector]
        zeros = torch.zeros_like(self.vector.data)
        return {
            "first_moment": moments.get("exp_avg", zeros),
            "second_moment": moments.get("exp_avg_sq", zeros),
            "steps": moments.get("step", torch.tensor(0.0)),
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a ``state``, also from one in which no step was taken yet."""
        self.optimizer.state.clear()
        if float(state["steps"]):
            device = self.vector.device
            self.optimizer.state[self.vector] = {
                "step": state["steps"].to(device),
                "exp_avg": state["first_moment"].to(device),
                "exp_avg_sq": state["second_moment"].to(device),
            }
