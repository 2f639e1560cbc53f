"""Gradients of a minibatch on several cores: its robots are dealt to threads of this process.

Torch's own threads meet at a barrier after every product, which collapses on a busy machine (five
times the CPU time was measured with two threads on two contended cores). Shares meet once a step.
"""

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from engine.config.distillation import StudentConfig
from engine.distillation.device_samples import Reader
from engine.distillation.minibatches import Choice
from engine.distillation.objective import minibatch_loss, seed_dropout
from engine.policies.policy import Policy
from engine.random import torch_seed

Gradients = tuple[Tensor | None, ...]


class ThreadGradients:
    """Replicas of a policy that share its parameters but nothing that a thread changes.

    ``reader`` gathers minibatches; another may take its place when data has been added.
    """

    def __init__(
        self,
        config: StudentConfig,
        policy: Policy,
        reader: Reader,
        device: torch.device,
    ) -> None:
        self._config = config
        self.reader = reader
        self._device = device
        self._parameters = list(policy.parameters())
        count = config.threads if device.type == "cpu" else 1
        self._replicas = [policy]
        for _ in range(count - 1):
            shared = {id(parameter): parameter for parameter in self._parameters}
            self._replicas.append(copy.deepcopy(policy, shared))
        self._threads = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))

    def backward(self, choice: Choice, step: int) -> Tensor:
        """The loss of a minibatch; its gradients are left in the parameters.

        Equal numbers of threads give equal bits; masks depend on seed, step and thread.
        """
        parts = split_choice(choice, len(self._replicas))
        futures = [
            self._threads.submit(self._share, index, part, len(choice.robots), step)
            for index, part in enumerate(parts)
        ]
        results = [future.result() for future in futures]
        for parameter, gradient in zip(
            self._parameters, _summed([gradients for _, gradients in results]), strict=True
        ):
            parameter.grad = gradient
        return torch.stack([loss for loss, _ in results]).sum()

    def _share(self, index: int, part: Choice, robots: int, step: int) -> tuple[Tensor, Gradients]:
        """One share's part of the minibatch's loss, and the gradients of that part."""
        policy = self._replicas[index]
        policy.train()
        seed = torch_seed(self._config.seed, "dropout", step, index)
        seed_dropout(policy, seed, self._device)
        loss = minibatch_loss(self._config, policy, self.reader.read(part))
        loss = loss * (len(part.robots) / robots)
        gradients = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        return loss.detach(), gradients


def split_choice(choice: Choice, shares: int) -> list[Choice]:
    """The robots of a minibatch dealt in turn, so that no share has two more than another."""
    return [
        Choice(choice.robots[first::shares], choice.samples[first::shares])
        for first in range(min(shares, len(choice.robots)))
    ]


def _summed(parts: Sequence[Gradients]) -> Gradients:
    """Sum of the shares' gradients, in their order; None where no share uses a parameter."""
    total = list(parts[0])
    for part in parts[1:]:
        for place, gradient in enumerate(part):
            own = total[place]
            if own is None:
                total[place] = gradient
            elif gradient is not None:
                own.add_(gradient)
    return tuple(total)
