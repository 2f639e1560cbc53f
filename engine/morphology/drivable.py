"""Which robots a network can drive: some read a body through classes that not every body has."""

from collections.abc import Iterable

from engine.config.network import NetworkConfig
from engine.morphology.context import missing_class
from engine.morphology.tree import Morphology


def undrivable_reason(network: NetworkConfig, robots: Iterable[Morphology]) -> str | None:
    """Why a policy of this network cannot drive one of the robots; None where it drives them all.

    The sentence names the robot, its number and the classes, and the networks that could.
    """
    if not network.reads_classes:
        return None
    for robot in robots:
        missing = missing_class(robot)
        if missing is not None:
            return (
                f"{robot.name}: {missing} of the transformed context, which this {network.kind}"
                " reads; networks of the raw context can drive it (network.kind=transformer with"
                " network.attention=self, multi_mlp, or hypernetwork with network.context=raw)"
            )
    return None
