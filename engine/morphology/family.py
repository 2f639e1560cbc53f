"""Robot families: the numbers that describe a design space, known nowhere else."""

from dataclasses import dataclass
from functools import cached_property

from engine.morphology.layout import FeatureLayout

Bounds = tuple[tuple[float, ...], tuple[float, ...]]
"""Smallest and largest value of each column of a feature."""


@dataclass(frozen=True)
class RobotFamily:
    """A design space: how robots may be built and how networks see them.

    ``limb_limit`` is the number of limb rows a padded network has; ``max_limbs`` is how many limbs
    a robot may have besides its head. Lengths are those of a capsule's cylinder, angles degrees.
    """

    name: str
    limb_limit: int
    max_limbs: int
    min_limbs: int
    joint_names: tuple[str, ...]
    head_radius_m: float
    limb_radius_m: float
    lengths_m: tuple[float, ...]
    densities_kg_m3: tuple[float, ...]
    azimuths_deg: tuple[int, ...]
    polars_deg: tuple[int, ...]
    joint_ranges_deg: tuple[tuple[float, float], ...]
    gears: tuple[float, ...]
    clearance_m: float
    floor_top_m: float
    limits: dict[str, tuple[float, float]]
    """Smallest and largest value of a body's numbers that are believed, far outside the space."""
    bounds: dict[str, Bounds]

    @property
    def joint_slots(self) -> int:
        """J: hinges a limb may have, one per slot."""
        return len(self.joint_names)

    @cached_property
    def observation_layout(self) -> FeatureLayout:
        """What changes while a robot moves, per limb."""
        features = [
            ("position", 3),
            ("linear_velocity", 3),
            ("angular_velocity", 3),
            ("orientation", 4),
        ]
        for slot in range(self.joint_slots):
            features += [(f"joint_position_{slot}", 1), (f"joint_velocity_{slot}", 1)]
        return FeatureLayout(tuple(features))

    @cached_property
    def raw_context_layout(self) -> FeatureLayout:
        """The body as the simulator holds it, per limb."""
        features = [
            ("body_position", 3),
            ("inertia_position", 3),
            ("inertia_orientation", 4),
            ("geom_orientation", 4),
            ("mass", 1),
            ("size", 2),
        ]
        for slot in range(self.joint_slots):
            features += [
                (f"joint_position_{slot}", 3),
                (f"joint_range_{slot}", 2),
                (f"joint_axis_{slot}", 3),
                (f"joint_gear_{slot}", 1),
            ]
        return FeatureLayout(tuple(features))

    @cached_property
    def context_layout(self) -> FeatureLayout:
        """The transformed context: absolute positions, one-hot ranges and gears, per limb."""
        features = [
            ("absolute_position", 3),
            ("absolute_inertia_position", 3),
            ("inertia_orientation", 4),
            ("mass", 1),
            ("size", 2),
        ]
        for slot in range(self.joint_slots):
            features += [
                (f"joint_range_class_{slot}", len(self.joint_ranges_deg)),
                (f"joint_axis_{slot}", 3),
                (f"joint_gear_class_{slot}", len(self.gears)),
            ]
        return FeatureLayout(tuple(features))


_QUATERNION_BOUNDS: Bounds = (
    (0.70710678, -0.70710678, -0.70710678, 0.0),
    (1.0, 0.70710678, 0.70710678, 0.0),
)

UNIMAL = RobotFamily(
    name="unimal",
    limb_limit=12,
    max_limbs=10,
    min_limbs=2,
    joint_names=("limbx", "limby"),
    head_radius_m=0.1,
    limb_radius_m=0.05,
    lengths_m=(0.2, 0.3, 0.4),
    densities_kg_m3=(500.0, 600.0, 700.0, 800.0, 900.0, 1000.0),
    azimuths_deg=(0, 45, 90, 135, 180, 225, 270, 315),
    polars_deg=(90, 135, 180),
    joint_ranges_deg=(
        (-30.0, 0.0),
        (0.0, 30.0),
        (-30.0, 30.0),
        (-45.0, 45.0),
        (-45.0, 0.0),
        (0.0, 45.0),
        (-60.0, 0.0),
        (0.0, 60.0),
        (-60.0, 60.0),
        (-90.0, 0.0),
        (0.0, 90.0),
        (-60.0, 30.0),
        (-30.0, 60.0),
    ),
    gears=(150.0, 200.0, 250.0, 300.0),
    clearance_m=0.2,
    floor_top_m=1.0,
    limits={
        "radius_m": (0.001, 1.0),
        "length_m": (0.001, 5.0),
        "density_kg_m3": (1.0, 25_000.0),
        "limb_mass_kg": (0.001, 1_000.0),
        "mass_kg": (0.01, 1_000.0),
        "coordinate_m": (-10.0, 10.0),
        "angle_deg": (-180.0, 180.0),
        "gear": (0.1, 10_000.0),
        "damping": (0.0, 1_000.0),
        "stiffness": (0.0, 10_000.0),
        "armature": (0.0, 100.0),
    },
    bounds={
        "body_position": ((-0.5, -0.45, -0.49), (0.5, 0.45, 2.04)),
        "inertia_position": ((-0.225, -0.225, -0.225), (0.225, 0.225, 0.0)),
        "inertia_orientation": _QUATERNION_BOUNDS,
        "geom_orientation": _QUATERNION_BOUNDS,
        "mass": ((1.17809725,), (4.1887902,)),
        "size": ((0.05, 0.0), (0.1, 0.22627417)),
        "joint_position": ((-0.05, -0.05, 0.0), (0.05, 0.05, 0.05)),
        "joint_range": ((-1.57079633, 0.0), (0.0, 1.57079633)),
        "joint_axis": ((-0.5000024, -0.5000024, -1.0), (1.0, 1.0, 1.0)),
        "joint_gear": ((0.0,), (300.0,)),
    },
)
"""The UNIMAL design space (DERL, 2021) with the bounds MetaMorph normalises by."""
