"""Policies and critics: networks that give action means, and networks that give values."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.morphology.packing import Packing
from engine.policies.controller import Encoding, RobotBatch
from engine.policies.gaussian import packed_joint_mask, sum_over_limbs
from engine.policies.hypernetwork import Hypernetwork
from engine.policies.limb_network import LimbNetwork
from engine.policies.mlp import LimbMlps
from engine.policies.moments import ObservationMoments

Network = LimbNetwork | LimbMlps


@dataclass(frozen=True)
class PolicyEncoding:
    """The robots and what the network computed of them."""

    robots: RobotBatch
    network: Encoding


class LimbPolicy(nn.Module):
    """A controller made of a network with one output per joint slot."""

    network: Network

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    @property
    def moments(self) -> ObservationMoments:
        """The observation moments."""
        return self.network.inputs.moments

    def deviations(self, observation: Tensor, packing: Packing, robots: RobotBatch) -> Tensor:
        """What samples add to the moments."""
        return self.network.inputs.deviations(observation, packing, robots)

    def encode(self, robots: RobotBatch) -> Encoding:
        """All that depends on the robots alone."""
        return PolicyEncoding(robots, self.network.encode(robots))

    def mean(
        self,
        encoding: Encoding,
        observation: Tensor,
        packing: Packing,
        terrain: Tensor | None,
    ) -> Tensor:
        """Action means: (rows, F) -> (rows, J), zero where there is no hinge."""
        own: PolicyEncoding = encoding
        means = self.network(own.network, observation, packing, terrain)
        return torch.as_tensor(means * packed_joint_mask(own.robots, packing))


class HypernetworkPolicy(nn.Module):
    """The distillation student as an actor under reinforcement learning (HN-RL).

    Its moments move while it learns; they are the student's own.
    """

    def __init__(self, hypernetwork: Hypernetwork) -> None:
        super().__init__()
        self.hypernetwork = hypernetwork

    @property
    def moments(self) -> ObservationMoments:
        """The observation moments, shared over limbs."""
        return self.hypernetwork.moments

    def deviations(self, observation: Tensor, packing: Packing, robots: RobotBatch) -> Tensor:
        """What samples add to the moments."""
        return self.moments.deviations(observation.unsqueeze(0))

    def encode(self, robots: RobotBatch) -> Encoding:
        """Every robot's base MLP."""
        return self.hypernetwork.encode(robots)

    def mean(
        self, encoding: Encoding, observation: Tensor, packing: Packing, terrain: Tensor | None
    ) -> Tensor:
        """Action means: (rows, F) -> (rows, J)."""
        return self.hypernetwork.mean(encoding, observation, packing, terrain)


class LimbCritic(nn.Module):
    """The mean of the limbs' values."""

    def __init__(self, network: LimbNetwork) -> None:
        super().__init__()
        self.network = network

    @property
    def moments(self) -> ObservationMoments:
        """The observation moments."""
        return self.network.inputs.moments

    def deviations(self, observation: Tensor, packing: Packing, robots: RobotBatch) -> Tensor:
        """What samples add to the moments."""
        return self.network.inputs.deviations(observation, packing, robots)

    def encode(self, robots: RobotBatch) -> Encoding:
        """All that depends on the robots alone."""
        return self.network.encode(robots)

    def value(
        self, encoding: Encoding, observation: Tensor, packing: Packing, terrain: Tensor | None
    ) -> Tensor:
        """Values of packed observations: (rows, F) -> (E,)."""
        limb_values = self.network(encoding, observation, packing, terrain)
        sums = sum_over_limbs(limb_values, packing)
        sizes = [bucket.environment_slice for bucket in packing.buckets]
        parts = torch.split(sums, [size.stop - size.start for size in sizes])
        counts = [bucket.limb_count for bucket in packing.buckets]
        return torch.cat([part / count for part, count in zip(parts, counts, strict=True)])


class MlpCritic(nn.Module):
    """One value per robot straight from MLPs."""

    def __init__(self, network: LimbMlps) -> None:
        super().__init__()
        self.network = network

    @property
    def moments(self) -> ObservationMoments:
        """The observation moments."""
        return self.network.inputs.moments

    def deviations(self, observation: Tensor, packing: Packing, robots: RobotBatch) -> Tensor:
        """What samples add to the moments."""
        return self.network.inputs.deviations(observation, packing, robots)

    def encode(self, robots: RobotBatch) -> Encoding:
        """All that depends on the robots alone."""
        return self.network.encode(robots)

    def value(
        self, encoding: Encoding, observation: Tensor, packing: Packing, terrain: Tensor | None
    ) -> Tensor:
        """Values of packed observations: (rows, F) -> (E,)."""
        return torch.as_tensor(self.network(encoding, observation, packing, terrain))


Policy = LimbPolicy | HypernetworkPolicy
Critic = LimbCritic | MlpCritic
