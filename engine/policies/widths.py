"""Widths that the robot family and the task fix for every network."""

from dataclasses import dataclass

from engine.morphology.family import UNIMAL, RobotFamily


@dataclass(frozen=True)
class NetworkWidths:
    """``context`` is the transformed one; ``terrain_points`` is 0 where no terrain is seen."""

    observation: int
    raw_context: int
    context: int
    joint_slots: int
    limb_limit: int
    terrain_points: int = 0


def network_widths(terrain_points: int, family: RobotFamily = UNIMAL) -> NetworkWidths:
    """The widths of a family's robots on a task with ``terrain_points`` heights in sight."""
    return NetworkWidths(
        observation=family.observation_layout.width,
        raw_context=family.raw_context_layout.width,
        context=family.context_layout.width,
        joint_slots=family.joint_slots,
        limb_limit=family.limb_limit,
        terrain_points=terrain_points,
    )
