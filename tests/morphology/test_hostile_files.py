"""Bad robot files: each a clear error that names file and reason, and nothing else is read."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import RobotError
from engine.morphology.generation import candidates
from engine.morphology.metadata import write_metadata
from engine.morphology.mjcf import load_robot, load_robots, parse_robot, save_robot, write_robot
from engine.morphology.tree import Morphology
from engine.morphology.xml_reading import MAX_FILE_BYTES

ROBOT = next(
    robot
    for robot in candidates(0)
    if 0 < 2 * len(robot.symmetric_pairs) < robot.num_limbs - 1 and robot.limbs[1].joints[0]
)
"""A robot with mirrored limbs and a single one."""
XML = write_robot(ROBOT)
METADATA = json.loads(write_metadata(ROBOT))
LIMB = ROBOT.limbs[1].identifier
PAIR = ROBOT.symmetric_pairs[0]


def once(text: str, new: str) -> Callable[[str], str]:
    """A change of the first place where ``text`` stands, which must exist."""

    def change(xml: str) -> str:
        assert text in xml
        return xml.replace(text, new, 1)

    return change


def after(marker: str, addition: str) -> Callable[[str], str]:
    return once(marker, marker + addition)


HINGE = '<joint name="limb{0}/{1}" class="normal_joint" range="-30 0" pos="0 0 0" axis="1 0 0"/>'


def with_three_hinges(xml: str) -> str:
    """The first limb with hinges x, y and z."""
    start = xml.index("<joint name=", xml.index(f'<body name="limb/{LIMB}"'))
    end = xml.index("<geom", start)
    return xml[:start] + "".join(HINGE.format(axis, LIMB) for axis in "xyz") + xml[end:]


def with_twelve_limbs(xml: str) -> str:
    """Small limbs on the head until there are twelve."""
    bodies, motors = "", ""
    for number in range(100, 100 + 12 - (ROBOT.num_limbs - 1)):
        bodies += f'<body name="limb/{number}">{HINGE.format("x", number)}'
        bodies += f'<geom name="limb/{number}" fromto="0 0 0 0 0 -0.25" size="0.05"/></body>'
        motors += f'<motor joint="limbx/{number}" gear="150"/>'
    return after("<actuator>", motors)(after('mode="trackcom"/>', bodies)(xml))


BOMB = '<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]>'

CAPSULE_SIZE = 'size="0.05" density="'


def sized(size: str) -> Callable[[str], str]:
    return once(CAPSULE_SIZE, f'size="{size}" density="')


def with_value(attribute: str, value: str, of: str) -> Callable[[str], str]:
    """Another value for an attribute of the first element that starts with ``of``."""

    def change(xml: str) -> str:
        element = xml.index(of)
        start = xml.index(f'{attribute}="', element) + len(attribute) + 2
        return xml[:start] + value + xml[xml.index('"', start) :]

    return change


def without_first_motor(xml: str) -> str:
    start = xml.index("<motor joint")
    return xml[:start] + xml[xml.index("/>", start) + 2 :]


def with_first_motor_twice(xml: str) -> str:
    start = xml.index("<motor joint")
    return xml[:start] + xml[start : xml.index("/>", start) + 2] + xml[start:]


GEOM = f'<geom name="limb/{LIMB}"'
BODY = f'<body name="limb/{LIMB}"'
TIP = f'<site name="limb/btm_pos/{LIMB}"'
HINGE_CLASS = 'class="normal_joint" range'
XINCLUDE = '<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>'

BAD_FILES: dict[str, tuple[Callable[[str], str], str]] = {
    "cut short": (lambda xml: xml[: len(xml) // 2], "not well-formed"),
    "empty": (lambda _: "", "not well-formed"),
    "two roots": (lambda xml: xml + xml, "not well-formed"),
    "another format": (lambda _: "<svg/>", "no UNIMAL robot: the root element is <svg>"),
    "head renamed": (once('<body name="torso/0"', '<body name="head"'), "torso/0"),
    "limb renamed": (once(BODY, '<body name="leg/1"'), "not named limb/<number>"),
    "limb number with zeros": (once(BODY, '<body name="limb/007"'), "not named limb"),
    "same limb twice": (
        once(f'<body name="limb/{ROBOT.limbs[2].identifier}"', BODY),
        "two bodies are named",
    ),
    "geom renamed": (once(GEOM, '<geom name="x"'), "one geom named"),
    "too many limbs": (with_twelve_limbs, "more than 10 limbs"),
    "three hinges": (with_three_hinges, "has 3 hinges"),
    "zero density": (with_value("density", "0", GEOM), "has no mass"),
    "zero head density": (with_value("density", "0.0", '<geom name="torso/0"'), "has no mass"),
    "NaN density": (with_value("density", "NaN", GEOM), "not a finite number"),
    "zero radius": (sized("0"), "has no mass"),
    "negative radius": (sized("-0.05"), "has no mass"),
    "NaN radius": (sized("nan"), "not a finite number"),
    "infinite radius": (sized("-inf"), "not a finite number"),
    "overflowing radius": (sized("1e999"), "not a finite number"),
    "hexadecimal radius": (sized("0x1"), "not a number"),
    "grouped digits": (sized("1_0"), "not a number"),
    "two radii": (sized("0.05 0.1"), "has 2 numbers"),
    "NaN position": (with_value("pos", "0 nan 0", BODY), "not a finite number"),
    "position in the plane": (with_value("pos", "0 0", BODY), "has 2 numbers"),
    "NaN tip": (with_value("pos", "0 nan 0", TIP), "not a finite number"),
    "no length": (with_value("fromto", "0 0 0 0 0 0", GEOM), "no length"),
    "box": (with_value("type", "box", GEOM), "type is 'box'"),
    "range of more than a turn": (with_value("range", "-190 17", BODY), "-190 degrees, expected"),
    "range the wrong way": (with_value("range", "30 -30", BODY), "is empty"),
    "NaN range": (with_value("range", "nan 0", BODY), "not a finite number"),
    "no axis": (with_value("axis", "0 0 0", BODY), "axis has no length"),
    "giant gear": (with_value("gear", "1e5", "<motor joint"), "gear is 100000, expected 0.1 to"),
    "no gear": (with_value("gear", "0", "<motor joint"), "gear is 0, expected"),
    "gear about two axes": (with_value("gear", "150 1", "<motor joint"), "more than one number"),
    "limb of a thousand kilometres": (sized("1000000"), "radius is 1e[+]06 m, expected 0.001 to 1"),
    "far away": (with_value("pos", "0 0 90", BODY), "coordinate is 90 m, expected -10 to 10 m"),
    "longer than a house": (with_value("fromto", "0 0 0 0 0 -9", GEOM), "length is 9 m"),
    "neutron star": (with_value("density", "1e6", GEOM), "density is 1e[+]06 kg/m3"),
    "a ton of limb": (
        lambda xml: sized("0.9")(with_value("density", "9000", GEOM)(xml)),
        "mass is .* kg, expected 0.001 to 1000 kg",
    ),
    "vacuum": (with_value("density", "0.01", GEOM), "density is 0.01 kg/m3, expected 1 to"),
    "below the floor": (with_value("pos", "0 0 -1", '<body name="torso/0"'), "above the floor"),
    "explicit mass": (once(GEOM, GEOM + ' mass="0"'), "'mass' is not accepted"),
    "own inertia": (after('mode="trackcom"/>', '<inertial pos="0 0 0" mass="0"/>'), "inertial"),
    "turned body": (once(BODY, BODY + ' quat="1 0 0 1"'), "'quat' is not accepted"),
    "negative damping": (once('damping="1"', 'damping="-5"'), "damping is -5, expected 0 to"),
    "giant armature": (once('armature="1"', 'armature="1e3"'), "armature is 1000, expected"),
    "NaN damping": (once('damping="1"', 'damping="nan"'), "not a finite number"),
    "own friction": (once('friction="0.7', 'friction="0.9'), "friction is"),
    "no limits": (once('limited="true" sol', 'limited="false" sol'), "limited is"),
    "wide control": (once('ctrlrange="-1 1"', 'ctrlrange="-2 2"'), "ctrlrange is"),
    "radians that are degrees": (once('angle="degree"', 'angle="radian"'), "degrees, expected"),
    "grads": (once('angle="degree"', 'angle="grad"'), "'degree' or 'radian'"),
    "exclude of nothing": (
        once("<contact/>", '<contact><exclude body1="torso/0" body2="limb/99"/></contact>'),
        "'limb/99', which is no body",
    ),
    "stray default": (once("<default>", '<default friction="1">'), "'friction' is not accepted"),
    "own time step": (once('timestep="0.005"', 'timestep="0.01"'), "timestep is"),
    "own gravity": (once('timestep="', 'gravity="0 0 0" timestep="'), "'gravity'"),
    "unknown class": (once(HINGE_CLASS, 'class="x" range'), "does not exist"),
    "no class": (once(HINGE_CLASS, "range"), "limited is ''"),
    "class without a name": (after("<default>", "<default><joint/></default>"), "no name"),
    "hinge without motor": (without_first_motor, "has no motor"),
    "motor of nothing": (after("<actuator>", '<motor joint="limbx/99" gear="150"/>'), "no hinge"),
    "two motors": (with_first_motor_twice, "has two motors"),
    "tendon": (after("</worldbody>", "<tendon/>"), "<tendon> is not accepted"),
    "keyframe": (after("</worldbody>", "<keyframe/>"), "<keyframe> is not accepted"),
    "contact pair": (once("<contact/>", "<contact><pair/></contact>"), "<pair> is not accepted"),
    "floor": (after("<worldbody>", '<geom type="plane" size="1 1 1"/>'), "<geom> is not accepted"),
    "two robots": (after("<worldbody>", '<body name="torso/0"/>'), "one body"),
    "entity bomb": (once("<mujoco", BOMB + "<mujoco"), "entities"),
    "external entity": (once("<mujoco", OUTSIDE + "<mujoco"), "entities"),
    "undeclared entity": (after("<worldbody>", "&x;"), "not well-formed"),
    "include": (after("<worldbody>", '<include file="/etc/passwd"/>'), "one file of its own"),
    "nested include": (after("<sensor>", '<include file="/etc/passwd"/>'), "one file of its own"),
    "mesh file": (after("<asset>", '<mesh name="m" file="/etc/passwd"/>'), "names another file"),
    "plugin": (after("<asset>", '<plugin plugin="x"/>'), "one file of its own"),
    "XInclude": (after("<asset>", XINCLUDE), "one file of its own"),
    "many attributes": (
        once("<motor ", "<motor " + " ".join(f'a{n}="1"' for n in range(40)) + " "),
        "more than 32 attributes",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_with_its_name_and_the_reason(case: str, tmp_path: Path) -> None:
    change, reason = BAD_FILES[case]
    path = tmp_path / "bad-robot.xml"
    path.write_text(change(XML))
    with pytest.raises(RobotError, match=reason) as caught:
        load_robot(path)
    assert str(path) in str(caught.value)
    assert "root:" not in str(caught.value)


def test_a_file_of_50_megabytes_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "big.xml"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(RobotError, match=r"big\.xml: is larger than"):
        load_robot(path)
    with pytest.raises(RobotError, match="big: is larger than"):
        parse_robot(XML.encode() + b" " * MAX_FILE_BYTES, "big")


def test_other_encodings_cannot_hide_a_document_type() -> None:
    hidden = XML.replace("<mujoco", BOMB + "<mujoco", 1)
    header = '<?xml version="1.0" encoding="UTF-7"?>'
    for content in (hidden.encode("utf-16"), (header + hidden).encode(), hidden.encode("utf-32")):
        with pytest.raises(RobotError, match=r"entities|UTF-8|well-formed"):
            parse_robot(content, "hidden")


BAD_METADATA = {
    "other dof": ({"dof": 3}, "says dof 3"),
    "dof as text": ({"dof": str(ROBOT.num_joints)}, "says dof"),
    "dof missing": ({"dof": None}, "says dof None"),
    "other limb count": ({"num_limbs": 1}, "says num_limbs 1"),
    "unknown limb": ({"symmetric_limbs": [[PAIR[0], 999]]}, "pairs limbs"),
    "limb in two pairs": ({"symmetric_limbs": [list(PAIR), list(PAIR)]}, "no other pair"),
    "limb with itself": ({"symmetric_limbs": [[PAIR[0], PAIR[0]]]}, "pairs limbs"),
    "pairs left out": ({"symmetric_limbs": []}, "does not pair the mirrored limbs"),
    "three in a pair": ({"symmetric_limbs": [[1, 2, 3]]}, "expected two numbers"),
    "pairs as text": ({"symmetric_limbs": "x"}, "list of pairs"),
    "lineage of text": ({"lineage": "me"}, "not an object"),
    "operations that steer terminals": (
        {"lineage": {"parent_digest": None, "operations": ["\x1b[2J"], "seed": 0}},
        "lineage is",
    ),
}


@pytest.mark.parametrize("case", BAD_METADATA)
def test_metadata_that_contradicts_the_xml_is_refused(case: str, tmp_path: Path) -> None:
    change, reason = BAD_METADATA[case]
    path = save_robot(ROBOT, tmp_path)
    beside = tmp_path / "metadata" / f"{ROBOT.name}.json"
    beside.write_text(json.dumps({**METADATA, **change}))
    with pytest.raises(RobotError, match=reason) as caught:
        load_robot(path)
    assert str(path) in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_metadata_that_pairs_limbs_which_are_no_mirror_images_is_refused(tmp_path: Path) -> None:
    paired = {identifier for pair in ROBOT.symmetric_pairs for identifier in pair}
    single = next(limb for limb in ROBOT.limbs[1:] if limb.identifier not in paired)
    metadata = {**METADATA, "symmetric_limbs": [[single.identifier, PAIR[0]]]}
    with pytest.raises(RobotError, match="no mirror images"):
        parse_robot(XML.encode(), "robot", metadata)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[1]", "9" * 5000])
def test_metadata_that_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    path = save_robot(ROBOT, tmp_path)
    (tmp_path / "metadata" / f"{ROBOT.name}.json").write_text(text)
    with pytest.raises(RobotError, match=ROBOT.name):
        load_robot(path)


def test_links_pipes_and_folders_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (tmp_path / "link.xml").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe.xml")
    (tmp_path / "folder.xml").mkdir()
    for name, reason in (("link", "symbolic link"), ("pipe", "regular"), ("folder", "regular")):
        with pytest.raises(RobotError, match=reason) as caught:
            load_robot(tmp_path / f"{name}.xml")
        assert f"{name}.xml" in str(caught.value)
    with pytest.raises(RobotError, match=r"none\.xml: cannot be read"):
        load_robot(tmp_path / "none.xml")
    with pytest.raises(RobotError, match="ending in"):
        load_robot(secret)


def test_metadata_behind_a_link_is_not_read(tmp_path: Path) -> None:
    path = save_robot(ROBOT, tmp_path / "robots")
    beside = tmp_path / "robots" / "metadata" / f"{ROBOT.name}.json"
    beside.rename(tmp_path / "elsewhere.json")
    beside.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(RobotError, match="symbolic link"):
        load_robot(path)
    with pytest.raises(RobotError, match="not written through"):
        save_robot(ROBOT, tmp_path / "robots")


def test_a_folder_without_robots_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RobotError, match="holds no robot files"):
        load_robots(tmp_path)
    with pytest.raises(RobotError, match="is no folder"):
        load_robots(tmp_path / "none")


@given(
    start=st.integers(0, len(XML)),
    length=st.integers(0, 40),
    new=st.text(max_size=20) | st.sampled_from(["<", ">", '"', "nan", "1e308", "-", "&#0;"]),
)
@settings(max_examples=100, deadline=None)
def test_any_damaged_file_is_a_robot_or_a_robot_error(start: int, length: int, new: str) -> None:
    damaged = XML[:start] + new + XML[start + length :]
    try:
        robot = parse_robot(damaged.encode("utf-8", "surrogatepass"), "damaged")
    except RobotError as error:
        assert str(error).startswith("damaged: ")  # noqa: PT017
    else:
        assert isinstance(robot, Morphology)
