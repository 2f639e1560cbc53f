"""A robot written as a UNIMAL-style MJCF file with the physics that hdtui trains with.

Body, sites, motors and sensors stand as in the published files. Parents and children do not
collide, all other limbs do: contact excludes and their opposite are what imported files bring.
"""

from lxml import etree

from engine.morphology.family import UNIMAL
from engine.morphology.tree import HEAD_NAME, Joint, Limb, Morphology, Vector

_SITE_SIZE = "1e-6 1e-6 1e-6"
_TOUCH_MARGIN_M = 0.01


def write_robot(morphology: Morphology) -> str:
    """The robot's file; every number is written so that it reads back as the same double."""
    root = etree.Element("mujoco", model=morphology.family)
    etree.SubElement(root, "compiler", angle="degree")
    etree.SubElement(root, "option", timestep="0.005")
    _add_defaults(root)
    world = etree.SubElement(root, "worldbody")
    etree.SubElement(world, "light", directional="true", pos="0 0 1", dir="0 0 -1")
    _add_bodies(world, morphology)
    _add_motors(root, morphology)
    _add_sensors(root, morphology)
    etree.SubElement(root, "contact")  # readers of the published files look for it
    asset = etree.SubElement(root, "asset")
    etree.SubElement(asset, "material", name="self", rgba="0.7 0.5 0.3 1")
    etree.indent(root, space="  ")
    return etree.tostring(root, encoding="unicode") + "\n"


def _add_defaults(root: etree._Element) -> None:
    default = etree.SubElement(root, "default")
    etree.SubElement(default, "motor", ctrlrange="-1 1", ctrllimited="true")
    etree.SubElement(
        _class(default, "normal_joint"),
        "joint",
        type="hinge",
        damping="1",
        stiffness="1",
        armature="1",
        limited="true",
        solimplimit="0 0.99 0.01",
    )
    free = _class(default, "free")
    etree.SubElement(free, "joint", limited="false", damping="0", armature="0", stiffness="0")
    for name in ("growth_site", "mirror_growth_site", "btm_pos_site"):
        etree.SubElement(_class(default, name), "site", size=_SITE_SIZE)
    etree.SubElement(_class(default, "imu_vel"), "site", type="box", size="0.05")
    etree.SubElement(_class(default, "touch_site"), "site", group="3", rgba="0 0 1 0.3")
    etree.SubElement(
        default, "geom", type="capsule", condim="3", friction="0.7 0.1 0.1", material="self"
    )


def _class(default: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(default, "default", {"class": name})


def _add_bodies(world: etree._Element, morphology: Morphology) -> None:
    paired = {identifier for pair in morphology.symmetric_pairs for identifier in pair}
    bodies: list[etree._Element] = []
    for limb, name in zip(morphology.limbs, morphology.limb_names, strict=True):
        above = world if limb.parent < 0 else bodies[limb.parent]
        body = etree.SubElement(above, "body", name=name, pos=_text(*limb.position_m))
        bodies.append(body)
        if limb.end_m is None:
            _add_head(body, limb)
        else:
            _add_limb(body, limb, limb.end_m, limb.identifier in paired)


def _add_head(body: etree._Element, limb: Limb) -> None:
    etree.SubElement(body, "joint", {"name": "root", "type": "free", "class": "free"})
    _add_site(body, "root", "imu_vel")
    etree.SubElement(
        body,
        "geom",
        name=HEAD_NAME,
        type="sphere",
        pos=_text(*limb.start_m),
        size=_text(limb.radius_m),
        condim="3",
        density=_text(limb.density_kg_m3),
    )
    etree.SubElement(
        body, "camera", name="side", pos="0 -7 2", xyaxes="1 0 0 0 1 2", mode="trackcom"
    )
    _add_site(body, HEAD_NAME, "growth_site", pos=_text(0.0, 0.0, 0.0))
    _add_site(body, "torso/btm_pos/0", "btm_pos_site", pos=_text(*limb.tip_m))
    _add_site(body, "torso/touch/0", "touch_site", size=_text(limb.radius_m + _TOUCH_MARGIN_M))


def _add_limb(body: etree._Element, limb: Limb, end_m: Vector, paired: bool) -> None:
    identifier = limb.identifier
    for stem, joint in zip(UNIMAL.joint_names, limb.joints, strict=True):
        if joint is not None:
            _add_joint(body, f"{stem}/{identifier}", joint)
    fromto = _text(*limb.start_m, *end_m)
    etree.SubElement(
        body,
        "geom",
        name=f"limb/{identifier}",
        type="capsule",
        fromto=fromto,
        size=_text(limb.radius_m),
        density=_text(limb.density_kg_m3),
    )
    site = "mirror_growth_site" if paired else "growth_site"
    _add_site(body, f"limb/mid/{identifier}", site, pos=_text(*middle_site(limb)))
    _add_site(body, f"limb/btm/{identifier}", site, pos=_text(*end_m))
    _add_site(body, f"limb/btm_pos/{identifier}", "btm_pos_site", pos=_text(*limb.tip_m))
    touch = _text(limb.radius_m + _TOUCH_MARGIN_M)
    _add_site(
        body, f"limb/touch/{identifier}", "touch_site", size=touch, fromto=fromto, type="capsule"
    )


def middle_site(limb: Limb) -> Vector:
    """The growth site halfway along the cylinder, rounded like the published files' positions."""
    end_m = limb.end_m or limb.start_m
    reach_m = (
        sum((last - first) ** 2 for first, last in zip(limb.start_m, end_m, strict=True)) ** 0.5
    )
    # The cylinder begins one radius after the frame's origin.
    share = 0.5 * (1.0 + limb.radius_m / reach_m)
    x, y, z = (
        round(first + share * (last - first), 2)
        for first, last in zip(limb.start_m, end_m, strict=True)
    )
    return x, y, z


def _add_site(body: etree._Element, name: str, site_class: str, **attributes: str) -> None:
    etree.SubElement(body, "site", {"name": name, "class": site_class, **attributes})


def _add_joint(body: etree._Element, name: str, joint: Joint) -> None:
    attributes = {
        "name": name,
        "type": "hinge",
        "class": "normal_joint",
        "range": _text(*joint.range_deg),
        "pos": _text(*joint.position_m),
        "axis": _text(*joint.axis),
    }
    for key, value in zip(("damping", "stiffness", "armature"), joint.passive, strict=True):
        if value != 1.0:  # else the class says so
            attributes[key] = _text(value)
    etree.SubElement(body, "joint", attributes)


def _add_motors(root: etree._Element, morphology: Morphology) -> None:
    actuator = etree.SubElement(root, "actuator")
    for limb in morphology.limbs:
        for stem, joint in zip(UNIMAL.joint_names, limb.joints, strict=True):
            if joint is not None:
                name = f"{stem}/{limb.identifier}"
                etree.SubElement(actuator, "motor", joint=name, gear=_text(joint.gear), name=name)


def _add_sensors(root: etree._Element, morphology: Morphology) -> None:
    sensor = etree.SubElement(root, "sensor")
    for tag, name in (
        ("accelerometer", "torso_accel"),
        ("gyro", "torso_gyro"),
        ("velocimeter", "torso_vel"),
    ):
        etree.SubElement(sensor, tag, name=name, site="root")
    etree.SubElement(sensor, "subtreeangmom", name="unimal_am", body=HEAD_NAME)
    for name in morphology.limb_names:
        stem, _, identifier = name.partition("/")
        etree.SubElement(sensor, "touch", name=name, site=f"{stem}/touch/{identifier}")


def _text(*values: float) -> str:
    return " ".join(repr(float(value)) for value in values)
