"""The body of a robot file: an XML tree becomes limbs, strictly."""

import math
import re

from lxml import etree

from engine.morphology.family import UNIMAL
from engine.morphology.geometry import capsule_ends, limb_mass_kg
from engine.morphology.mjcf_defaults import (
    GEOM,
    HINGE,
    MOTOR,
    ROOT,
    Attributes,
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
_PASSIVE = ("damping", "stiffness", "armature")
_WRITTEN_DIGITS = 6
"""Significant digits of the numbers that MuJoCo saves."""
_SEE_HELP = (
    "hdtui reads robots of the UNIMAL design space alone, whatever MuJoCo could simulate;"
    " `hdtui robots import --help` says more"
)


def check_kind(root: etree._Element) -> None:
    """Refuse what is no robot of the design space at all, before any detail: RejectedError."""
    if root.tag != "mujoco":
        tag = str(root.tag)[:MAX_SHOWN]
        raise RejectedError(
            f"is no UNIMAL robot: the root element is <{tag}>, not <mujoco>; {_SEE_HELP}"
        )
    bodies = [str(body.get("name", "")) for body in root.iter("body")]
    if HEAD_NAME not in bodies:
        found = ", ".join(repr(name[:MAX_SHOWN]) for name in bodies[:3]) or "no body"
        raise RejectedError(
            f"is no UNIMAL robot: no body is named {HEAD_NAME!r}, which is the head of every"
            f" UNIMAL robot (found: {found}); {_SEE_HELP}"
        )


def parse_limbs(root: etree._Element) -> tuple[Limb, ...]:
    """The limbs of a robot file, head first.

    Raises:
        RejectedError: For what no robot may have.
    """
    check_attributes(root, ("model",), "mujoco")
    check_children(root, _SECTIONS, "mujoco")
    check_settings(root)
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
    _check_excludes(root, limbs)
    if gears:
        raise RejectedError(
            f"motor for {next(iter(gears))[:MAX_SHOWN]!r}, which is no hinge of the robot"
        )
    if len(limbs) < 2:
        raise RejectedError("the robot has no limbs")
    mass_kg = sum(limb_mass_kg(limb) for limb in limbs)
    _check_limit("the robot's mass", mass_kg, "mass_kg", "kg")
    return tuple(limbs)


def _check_limit(what: str, value: float, limit: str, unit: str) -> float:
    """The value back.

    Raises:
        RejectedError: No robot of the kind could have it.
    """
    low, high = UNIMAL.limits[limit]
    if not low <= value <= high:
        raise RejectedError(
            f"{what} is {value:g} {unit}".rstrip()
            + f", expected {low:g} to {high:g} {unit}".rstrip()
        )
    return value


def _check_excludes(root: etree._Element, limbs: list[Limb]) -> None:
    """Contacts that a file leaves out are kept in it; they must be those of its own bodies."""
    names = {HEAD_NAME, *(f"limb/{limb.identifier}" for limb in limbs[1:])}
    for contact in root.findall("contact"):
        check_children(contact, ("exclude",), "contact")
        for exclude in contact:
            check_attributes(exclude, ("name", "body1", "body2"), "exclude")
            for key in ("body1", "body2"):
                if exclude.get(key) not in names:
                    found = str(exclude.get(key))[:MAX_SHOWN]
                    raise RejectedError(
                        f"exclude: {key} is {found!r}, which is no body of the robot"
                    )


def _parse_gears(root: etree._Element, defaults: Defaults) -> dict[str, float]:
    gears: dict[str, float] = {}
    for section in root.findall("actuator"):
        check_children(section, ("motor", "general"), "actuator")
        for motor in section:
            joint = motor.get("joint", "")
            what = f"motor {joint[:MAX_SHOWN]!r}"
            attributes = defaults.attributes(motor, what)
            check_fixed(attributes, MOTOR, ("joint", "name", "gear"), what)
            if joint in gears:
                raise RejectedError(f"{what}: the hinge has two motors")
            gear, *others = numbers(attributes.get("gear"), range(1, 7), f"{what}: gear")
            if any(others):
                raise RejectedError(f"{what}: gear has more than one number, a hinge needs one")
            gears[joint] = _check_limit(f"{what}: gear", gear, "gear", "")
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
    if parent < 0 and position[2] <= UNIMAL.clearance_m:
        raise RejectedError(
            f"{name}: the head hangs {position[2]:g} m above the floor, expected more than"
            f" {UNIMAL.clearance_m:g} m"
        )
    tip = _parse_tip(body, name, end or start)
    limb = Limb(identifier, parent, position, start, end, radius_m, density, joints, tip)
    _check_limit(f"{name}: mass", limb_mass_kg(limb), "limb_mass_kg", "kg")
    limbs.append(limb)
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
    places = ("pos",) if is_head else ("fromto",) if "fromto" in attributes else ("pos", "quat")
    free = ("name", "size", "density", "material", "rgba", "group", *places)
    shape = "sphere" if is_head else "capsule"
    check_fixed(attributes, {**GEOM, "type": shape}, free, what)
    num_sizes = 2 if "quat" in places else 1
    sizes = numbers(attributes.get("size"), (num_sizes,), f"{what} size")
    density = numbers(attributes.get("density"), (1,), f"{what} density")[0]
    if min(*sizes, density) <= 0:
        raise RejectedError(
            f"{what}: has no mass (radius {sizes[0]:g} m, density {density:g} kg/m3)"
        )
    radius_m = _check_limit(f"{what} radius", sizes[0], "radius_m", "m")
    _check_limit(f"{what} density", density, "density_kg_m3", "kg/m3")
    if is_head:
        return _vector(attributes.get("pos", "0 0 0"), f"{what} pos"), None, radius_m, density
    start, end = _parse_ends(attributes, sizes[-1], what)
    return start, end, radius_m, density


def _parse_ends(attributes: Attributes, half_length_m: float, what: str) -> tuple[Vector, Vector]:
    """Start and end of a capsule, which is given by them or as MuJoCo saves it: by its frame."""
    if "fromto" in attributes:
        ends = numbers(attributes["fromto"], (6,), f"{what} fromto")
        start, end = (ends[0], ends[1], ends[2]), (ends[3], ends[4], ends[5])
    else:
        centre = _vector(attributes.get("pos", "0 0 0"), f"{what} pos")
        quaternion = numbers(attributes.get("quat", "1 0 0 0"), (4,), f"{what} quat")
        if math.hypot(*quaternion) < 1e-3:
            raise RejectedError(f"{what}: quat has no length")
        start, end = capsule_ends(centre, half_length_m, quaternion)
    length_m = math.dist(start, end)
    if length_m < UNIMAL.limits["length_m"][0]:
        raise RejectedError(f"{what}: the capsule has no length")
    _check_limit(f"{what} length", length_m, "length_m", "m")
    for value in (*start, *end):
        _check_limit(f"{what}: a coordinate", value, "coordinate_m", "m")
    return start, end


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
    check_fixed(attributes, HINGE, ("name", "range", "pos", "axis", *_PASSIVE), name)
    low, high = numbers(attributes.get("range"), (2,), f"{name}: range")
    if defaults.in_radians:
        low, high = _degrees(low), _degrees(high)
    for angle_deg in (low, high):
        _check_limit(f"{name}: a limit of its range", angle_deg, "angle_deg", "degrees")
    if not low < high:
        raise RejectedError(f"{name}: range {low:g} {high:g} is empty, expected low before high")
    passive = [_parse_passive(attributes, name, key) for key in _PASSIVE]
    position = _vector(attributes.get("pos", "0 0 0"), f"{name}: pos")
    axis = _vector(attributes.get("axis", "0 0 1"), f"{name}: axis")
    if max(abs(value) for value in axis) < 1e-3:
        raise RejectedError(f"{name}: the axis has no length")
    return Joint((low, high), position, axis, gear, *passive)


def _parse_passive(attributes: Attributes, name: str, key: str) -> float:
    value = numbers(attributes[key], (1,), f"{name}: {key}")[0]
    return _check_limit(f"{name}: {key}", value, key, "")


def _degrees(angle_rad: float) -> float:
    """An angle that was saved in radians: the round one that MuJoCo writes so, where there is one.

    -0.523599 is -30 degrees, not -30.0000125: what a design space has classes for stays in them.
    """
    angle_deg = math.degrees(angle_rad)
    rounded_deg = round(angle_deg, 2)
    written = float(f"{math.radians(rounded_deg):.{_WRITTEN_DIGITS}g}")
    exact = math.isclose(math.radians(rounded_deg), angle_rad, rel_tol=1e-12)
    return rounded_deg if exact or written == angle_rad else angle_deg


def _parse_tip(body: etree._Element, name: str, otherwise: Vector) -> Vector:
    stem, _, identifier = name.partition("/")
    for site in body.findall("site"):
        if site.get("name") == f"{stem}/btm_pos/{identifier}":
            return _vector(site.get("pos", "0 0 0"), f"{name}: btm_pos site")
    return otherwise


def _vector(text: str | None, what: str) -> Vector:
    x, y, z = numbers(text, (3,), what)
    for value in (x, y, z):
        _check_limit(f"{what}: a coordinate", value, "coordinate_m", "m")
    return x, y, z
