"""The body of a robot file: an XML tree becomes limbs, strictly."""

import re

from lxml import etree

from engine.morphology.family import UNIMAL
from engine.morphology.mjcf_defaults import (
    GEOM,
    HINGE,
    MOTOR,
    ROOT,
    Defaults,
    check_fixed,
    check_settings,
)
from engine.morphology.tree import HEAD_NAME, Joint, Limb, Vector
from engine.morphology.xml_reading import (
    MAX_SHOWN,
    RejectedError,
    check_attributes,
    check_children,
    numbers,
)

_LIMB_NAME = re.compile(r"limb/(0|[1-9]\d{0,5})", re.ASCII)
_SECTIONS = (
    *("compiler", "size", "option", "default", "worldbody"),
    *("actuator", "sensor", "asset", "contact", "visual", "statistic"),
)
_DECORATION = ("site", "camera", "light")


def parse_limbs(root: etree._Element) -> tuple[Limb, ...]:
    """The limbs of a robot file, head first; RejectedError for what no robot may have."""
    if root.tag != "mujoco":
        raise RejectedError("the root element is not <mujoco>")
    check_attributes(root, ("model",), "mujoco")
    check_children(root, _SECTIONS, "mujoco")
    check_settings(root)
    for contact in root.findall("contact"):
        check_children(contact, ("exclude",), "contact")
    defaults = Defaults(root)
    heads = [body for world in root.findall("worldbody") for body in world.findall("body")]
    for world in root.findall("worldbody"):
        check_children(world, ("body", *_DECORATION), "worldbody")
    if len(heads) != 1 or heads[0].get("name") != HEAD_NAME:
        names = ", ".join(repr(head.get("name", "")[:MAX_SHOWN]) for head in heads[:3]) or "none"
        raise RejectedError(f"worldbody must hold one body named {HEAD_NAME!r}, found: {names}")
    gears = _parse_gears(root, defaults)
    limbs: list[Limb] = []
    _parse_body(heads[0], -1, limbs, defaults, gears)
    if gears:
        raise RejectedError(
            f"motor for {next(iter(gears))[:MAX_SHOWN]!r}, which is no hinge of the robot"
        )
    if len(limbs) < 2:
        raise RejectedError("the robot has no limbs")
    return tuple(limbs)


def _parse_gears(root: etree._Element, defaults: Defaults) -> dict[str, float]:
    gears: dict[str, float] = {}
    for section in root.findall("actuator"):
        check_children(section, ("motor",), "actuator")
        for motor in section:
            joint = motor.get("joint", "")
            what = f"motor {joint[:MAX_SHOWN]!r}"
            attributes = defaults.attributes(motor, what)
            check_fixed(attributes, MOTOR, ("joint", "name", "gear"), what)
            if joint in gears:
                raise RejectedError(f"{what}: the hinge has two motors")
            gears[joint] = numbers(attributes.get("gear"), (1,), f"{what}: gear")[0]
            if gears[joint] not in UNIMAL.gears:
                raise RejectedError(f"{what}: gear {gears[joint]:g} is none of {UNIMAL.gears}")
    return gears


def _parse_body(
    body: etree._Element,
    parent: int,
    limbs: list[Limb],
    defaults: Defaults,
    gears: dict[str, float],
) -> None:
    """Append the limb of ``body`` and those below it, depth first."""
    name = body.get("name", "")
    identifier = _identifier(name, parent, limbs)
    check_attributes(body, ("name", "pos"), name)
    check_children(body, ("body", "joint", "geom", *_DECORATION), name)
    start, end, radius_m, density = _parse_shape(body, name, defaults)
    if parent < 0:
        _check_root_joint(body, defaults)
        joints: tuple[Joint | None, ...] = (None,) * UNIMAL.joint_slots
    else:
        joints = _parse_joints(body, identifier, defaults, gears)
    position = _vector(body.get("pos", "0 0 0"), f"{name}: pos")
    tip = _parse_tip(body, name, end or start)
    limbs.append(Limb(identifier, parent, position, start, end, radius_m, density, joints, tip))
    row = len(limbs) - 1
    for child in body.findall("body"):
        _parse_body(child, row, limbs, defaults, gears)


def _identifier(name: str, parent: int, limbs: list[Limb]) -> int:
    if parent < 0:
        return 0
    match = _LIMB_NAME.fullmatch(name)
    if match is None:
        raise RejectedError(f"body {name[:MAX_SHOWN]!r} is not named limb/<number>")
    identifier = int(match.group(1))
    if identifier in {limb.identifier for limb in limbs[1:]}:
        raise RejectedError(f"two bodies are named {name!r}")
    if len(limbs) > UNIMAL.max_limbs:
        raise RejectedError(f"more than {UNIMAL.max_limbs} limbs, the most {UNIMAL.name} allows")
    return identifier


def _parse_shape(
    body: etree._Element, name: str, defaults: Defaults
) -> tuple[Vector, Vector | None, float, float]:
    """Start, end (None for the head's sphere), radius and density of a body's single geom."""
    geoms = body.findall("geom")
    if len(geoms) != 1 or geoms[0].get("name") != name:
        raise RejectedError(f"{name}: must have one geom named {name!r}, found {len(geoms)}")
    what = f"{name}: geom"
    is_head = name == HEAD_NAME
    attributes = defaults.attributes(geoms[0], what)
    free = ("name", "size", "density", "material", "rgba", "group", "pos" if is_head else "fromto")
    shape = "sphere" if is_head else "capsule"
    check_fixed(attributes, {**GEOM, "type": shape}, free, what)
    radius_m = numbers(attributes.get("size"), (1,), f"{what} size")[0]
    density = numbers(attributes.get("density"), (1,), f"{what} density")[0]
    if radius_m < 1e-3 or density < 1e-3:
        raise RejectedError(
            f"{what}: has no mass (radius {radius_m:g} m, density {density:g} kg/m3)"
        )
    if is_head:
        return _vector(attributes.get("pos", "0 0 0"), f"{what} pos"), None, radius_m, density
    ends = numbers(attributes.get("fromto"), (6,), f"{what} fromto")
    start, end = (ends[0], ends[1], ends[2]), (ends[3], ends[4], ends[5])
    if max(abs(first - second) for first, second in zip(start, end, strict=True)) < 1e-3:
        raise RejectedError(f"{what}: the capsule has no length")
    return start, end, radius_m, density


def _check_root_joint(body: etree._Element, defaults: Defaults) -> None:
    joints = body.findall("joint")
    if len(joints) != 1 or joints[0].get("name") != "root":
        raise RejectedError(f"{HEAD_NAME}: must have one free joint named 'root'")
    what = f"{HEAD_NAME}: joint 'root'"
    # Limit softness means nothing without limits.
    free = ("name", "range", "solimplimit")
    check_fixed(defaults.attributes(joints[0], what), ROOT, free, what)


def _parse_joints(
    body: etree._Element, identifier: int, defaults: Defaults, gears: dict[str, float]
) -> tuple[Joint | None, ...]:
    """One entry per joint slot; hinges must stand in slot order and have a motor each."""
    expected = [f"{stem}/{identifier}" for stem in UNIMAL.joint_names]
    elements = body.findall("joint")
    found = [element.get("name", "") for element in elements]
    if not 1 <= len(found) <= len(expected):
        raise RejectedError(f"limb/{identifier}: has {len(found)} hinges, expected 1 or 2")
    if found != [name for name in expected if name in found]:
        raise RejectedError(
            f"limb/{identifier}: hinges are {str(found)[:MAX_SHOWN]}, "
            f"expected {' and/or '.join(expected)}, in this order"
        )
    joints: dict[str, Joint] = {}
    for name, element in zip(found, elements, strict=True):
        if name not in gears:
            raise RejectedError(f"{name}: the hinge has no motor")
        joints[name] = _parse_joint(element, name, defaults, gears.pop(name))
    return tuple(joints.get(name) for name in expected)


def _parse_joint(element: etree._Element, name: str, defaults: Defaults, gear: float) -> Joint:
    attributes = defaults.attributes(element, name)
    check_fixed(attributes, HINGE, ("name", "range", "pos", "axis"), name)
    low, high = numbers(attributes.get("range"), (2,), f"{name}: range")
    if (low, high) not in UNIMAL.joint_ranges_deg:
        raise RejectedError(f"{name}: range {low:g} {high:g} is none of the family's joint ranges")
    position = _vector(attributes.get("pos", "0 0 0"), f"{name}: pos")
    axis = _vector(attributes.get("axis", "0 0 1"), f"{name}: axis")
    if max(abs(value) for value in axis) < 1e-3:
        raise RejectedError(f"{name}: the axis has no length")
    return Joint((low, high), position, axis, gear)


def _parse_tip(body: etree._Element, name: str, otherwise: Vector) -> Vector:
    stem, _, identifier = name.partition("/")
    for site in body.findall("site"):
        if site.get("name") == f"{stem}/btm_pos/{identifier}":
            return _vector(site.get("pos", "0 0 0"), f"{name}: btm_pos site")
    return otherwise


def _vector(text: str | None, what: str) -> Vector:
    x, y, z = numbers(text, (3,), what)
    return x, y, z
