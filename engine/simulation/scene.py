"""A robot in a lean scene as MJCF: ground, bodies, hinges and motors, nothing that draws or senses.

Numbers are written with ``repr``, so the compiler reads back exactly the floats of the morphology.
Parent-child contacts are filtered and explicit excludes dropped, as in the published scenes.
"""

import math
from collections.abc import Iterable

from lxml import etree

from engine.config.base import TaskConfig
from engine.morphology.family import UNIMAL
from engine.morphology.tree import Joint, Limb, Morphology
from engine.simulation.ground import (
    FLOOR_TOP_M,
    OBSTACLE_COURSE,
    PHYSICS_TIMESTEP_S,
    VARIABLE_COURSE,
    slope_rad,
)
from engine.simulation.terrain import (
    COURSE_SCALE_M,
    COURSE_SINK_M,
    NUM_OBSTACLES,
    VARIABLE_CELL_M,
    course_shape,
)

FLOOR_HALF_SIZE_M = (100.0, 100.0)
WALL_HALF_THICKNESS_M = 0.5
WALL_HALF_HEIGHT_M = 2.0
ARENA = {"flat": "1M", "incline": "1M", "obstacles": "4M", "variable": "8M"}
"""Memory for contacts; what a robot with all limbs on the ground needs, with room to spare."""


def scene_xml(robot: Morphology, task: TaskConfig) -> bytes:
    """MJCF of ``robot`` standing at the start of ``task``."""
    root = etree.Element("mujoco", model="scene")
    etree.SubElement(root, "compiler", angle="degree", autolimits="false")
    etree.SubElement(root, "size", memory=ARENA[task.name])
    option = etree.SubElement(root, "option", timestep=repr(PHYSICS_TIMESTEP_S))
    if task.name == "obstacles":
        # Its bounding volumes are those of the template; ours move with every episode.
        etree.SubElement(option, "flag", midphase="disable")
    _add_defaults(root)
    asset = etree.SubElement(root, "asset")
    world = etree.SubElement(root, "worldbody")
    _add_ground(world, asset, task)
    _add_robot(root, world, robot, task)
    return etree.tostring(root)


def _numbers(values: Iterable[float]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _add_defaults(root: etree._Element) -> None:
    default = etree.SubElement(root, "default")
    etree.SubElement(
        default,
        "joint",
        type="hinge",
        limited="true",
        solimplimit="0 0.99 0.01",
    )
    etree.SubElement(default, "geom", condim="3", friction="0.7 0.1 0.1")
    etree.SubElement(default, "motor", ctrlrange="-1 1", ctrllimited="true")


def _add_box(
    world: etree._Element, name: str, position: Iterable[float], half_size: Iterable[float]
) -> etree._Element:
    return etree.SubElement(
        world, "geom", name=name, type="box", pos=_numbers(position), size=_numbers(half_size)
    )


def _add_ground(world: etree._Element, asset: etree._Element, task: TaskConfig) -> None:
    if task.name == "variable":
        _add_courses(world, asset, task.num_courses)
    elif task.name == "obstacles":
        _add_obstacle_course(world)
    else:
        _add_floor(world, slope_rad(task))


def _add_floor(world: etree._Element, angle_rad: float) -> None:
    """A slab whose top passes through (0, 0, 1), rising along x by ``angle_rad``."""
    half_height = FLOOR_TOP_M
    center = (
        half_height * math.sin(angle_rad),
        0.0,
        FLOOR_TOP_M - half_height * math.cos(angle_rad),
    )
    floor = _add_box(world, "floor", center, (*FLOOR_HALF_SIZE_M, half_height))
    if angle_rad:
        floor.set("euler", _numbers((0.0, -math.degrees(angle_rad), 0.0)))


def _add_courses(world: etree._Element, asset: etree._Element, num_courses: int) -> None:
    """A slab for what is flat and, just below its top, one height field that an episode picks."""
    course = VARIABLE_COURSE
    center_x, half_length = course.center_x_m, course.length_m / 2
    _add_box(world, "floor", (center_x, 0.0, 0.0), (half_length, course.half_width_m, FLOOR_TOP_M))
    rows, columns = course_shape(course, VARIABLE_CELL_M)
    for index in range(num_courses):
        etree.SubElement(
            asset,
            "hfield",
            name=f"course/{index}",
            nrow=str(rows),
            ncol=str(columns),
            size=_numbers((half_length, course.half_width_m, COURSE_SCALE_M, 0.1)),
        )
    etree.SubElement(
        world,
        "geom",
        name="course",
        type="hfield",
        hfield="course/0",
        pos=_numbers((center_x, 0.0, FLOOR_TOP_M - COURSE_SINK_M)),
    )


def _add_obstacle_course(world: etree._Element) -> None:
    course = OBSTACLE_COURSE
    center_x, half_length, half_width = course.center_x_m, course.length_m / 2, course.half_width_m
    thickness, height = WALL_HALF_THICKNESS_M, WALL_HALF_HEIGHT_M
    middle_z = FLOOR_TOP_M + height
    _add_box(world, "floor", (center_x, 0.0, 0.0), (half_length, half_width, FLOOR_TOP_M))
    side = (half_length, thickness, height)
    end = (thickness, half_width + 2 * thickness, height)
    _add_box(world, "wall/left", (center_x, half_width + thickness, middle_z), side)
    _add_box(world, "wall/right", (center_x, -half_width - thickness, middle_z), side)
    _add_box(world, "wall/front", (course.end_m + thickness, 0.0, middle_z), end)
    _add_box(world, "wall/back", (-course.start_m - thickness, 0.0, middle_z), end)
    for index in range(NUM_OBSTACLES):
        _add_box(world, f"obstacle/{index}", (center_x, 0.0, middle_z), (1.0, 1.0, height))


def _add_robot(
    root: etree._Element, world: etree._Element, robot: Morphology, task: TaskConfig
) -> None:
    actuator = etree.SubElement(root, "actuator")
    bodies: list[etree._Element] = []
    for limb in robot.limbs:
        if limb.parent < 0:
            bodies.append(_add_head(world, limb, slope_rad(task)))
        else:
            bodies.append(_add_limb(bodies[limb.parent], actuator, limb))


def _add_head(world: etree._Element, head: Limb, angle_rad: float) -> etree._Element:
    """The head above the start; on a slope the whole robot is turned to stand on it."""
    x, y, height = head.position_m
    body = etree.SubElement(
        world,
        "body",
        name=f"torso/{head.identifier}",
        pos=_numbers(
            (
                x * math.cos(angle_rad) - height * math.sin(angle_rad),
                y,
                x * math.sin(angle_rad) + height * math.cos(angle_rad) + FLOOR_TOP_M,
            )
            if angle_rad
            else (x, y, height + FLOOR_TOP_M)
        ),
    )
    if angle_rad:
        body.set("euler", _numbers((0.0, -math.degrees(angle_rad), 0.0)))
    free = etree.SubElement(body, "joint", name="root", type="free", limited="false")
    for name in ("damping", "stiffness", "armature"):
        free.set(name, "0")
    etree.SubElement(
        body,
        "geom",
        name=f"torso/{head.identifier}",
        type="sphere",
        pos=_numbers(head.start_m),
        size=_numbers((head.radius_m,)),
        density=_numbers((head.density_kg_m3,)),
    )
    return body


def _add_limb(parent: etree._Element, actuator: etree._Element, limb: Limb) -> etree._Element:
    name = f"limb/{limb.identifier}"
    body = etree.SubElement(parent, "body", name=name, pos=_numbers(limb.position_m))
    for kind, joint in zip(UNIMAL.joint_names, limb.joints, strict=True):
        if joint is not None:
            _add_hinge(body, actuator, f"{kind}/{limb.identifier}", joint)
    end = limb.start_m if limb.end_m is None else limb.end_m
    etree.SubElement(
        body,
        "geom",
        name=name,
        type="capsule",
        fromto=_numbers((*limb.start_m, *end)),
        size=_numbers((limb.radius_m,)),
        density=_numbers((limb.density_kg_m3,)),
    )
    return body


def _add_hinge(body: etree._Element, actuator: etree._Element, name: str, joint: Joint) -> None:
    hinge = etree.SubElement(
        body,
        "joint",
        name=name,
        range=_numbers(joint.range_deg),
        pos=_numbers(joint.position_m),
        axis=_numbers(joint.axis),
    )
    for key, value in zip(("damping", "stiffness", "armature"), joint.passive, strict=True):
        hinge.set(key, _numbers((value,)))
    etree.SubElement(actuator, "motor", name=name, joint=name, gear=_numbers((joint.gear,)))
