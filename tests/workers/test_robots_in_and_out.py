"""What is exported is what was imported, and moves as it does; own robots move as in training."""

import json
from pathlib import Path

import mujoco
import numpy as np
import numpy.typing as npt
import pytest
from lxml import etree

from db.queries.robots import list_robots
from db.session import Database
from engine.config.base import TaskConfig
from engine.errors import InvalidRobotsError, RobotError
from engine.morphology.generation import generate
from engine.morphology.mjcf import (
    RobotFile,
    load_robot,
    read_folder,
    safe_name,
    save_file,
    save_robot,
)
from engine.morphology.mutation import mutate
from engine.morphology.tree import Morphology
from engine.simulation.scene import scene_xml
from engine.workers import robot_library
from engine.workers.workspace import Workspace
from hdtui.actions.robot_imports import read_robots_of
from hdtui.cli.main import run as hdtui

STEPS = 400
"""Two seconds."""
ROBOTS = generate(3, seed=5)


def states(model: mujoco.MjModel, lift_m: float = 0.0) -> npt.NDArray[np.float64]:
    """Positions and velocities over two seconds of seeded controls."""
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    data.qpos[2] += lift_m
    found = []
    for _ in range(STEPS):
        data.ctrl[:] = rng.uniform(-1, 1, model.nu)
        mujoco.mj_step(model, data)
        found.append(np.concatenate([data.qpos, data.qvel]))
    return np.array(found)


def with_excludes(xml: str) -> str:
    """A file as others write it: contacts left out, parents and children colliding, own words."""
    robot = ROBOTS[0]
    first, second = robot.limb_names[1], robot.limb_names[2]
    excludes = f'<contact><exclude name="own" body1="{first}" body2="{second}"/></contact>'
    flag = '<option timestep="0.005"><flag filterparent="disable"/></option>'
    assert "<contact/>" in xml
    return "<!-- somebody's -->" + xml.replace("<contact/>", excludes, 1).replace(
        '<option timestep="0.005"/>', flag, 1
    )


def foreign_folder(folder: Path, robot: Morphology = ROBOTS[0]) -> Path:
    path = save_robot(robot, folder)
    path.write_text(with_excludes(path.read_text()))
    return path


def imported(database: Database, workspace: Workspace, folder: Path, name: str) -> None:
    files = read_folder(folder).all_valid()
    robot_library.import_files(database, workspace, files, name)


def test_an_imported_robot_is_exported_byte_for_byte_and_moves_alike(
    database: Database, workspace: Workspace, tmp_path: Path
) -> None:
    path = foreign_folder(tmp_path / "in")
    imported(database, workspace, tmp_path / "in", "one")
    (out,) = robot_library.export_set(database, workspace, "one", tmp_path / "out")
    assert out.read_bytes() == path.read_bytes()
    beside = [each.parent.parent / "metadata" / f"{each.stem}.json" for each in (path, out)]
    assert beside[0].read_bytes() == beside[1].read_bytes()
    models = [mujoco.MjModel.from_xml_path(str(each)) for each in (path, out)]
    assert models[1].nexclude == 1
    np.testing.assert_array_equal(states(models[0]), states(models[1]))


@pytest.mark.slow
def test_all_real_robots_come_out_as_they_came_in_and_move_alike(
    database: Database, workspace: Workspace, tmp_path: Path, unimal_dir: Path
) -> None:
    imported(database, workspace, unimal_dir, "real")
    paths = robot_library.export_set(database, workspace, "real", tmp_path)
    assert len(paths) == len(list((unimal_dir / "xml").glob("*.xml")))
    for out in paths:
        path = unimal_dir / "xml" / out.name
        assert out.read_bytes() == path.read_bytes()
        models = [
            mujoco.MjModel.from_xml_string(
                # The skybox takes most of the compile and moves nothing.
                each.read_text().replace('width="800" height="800"', 'width="8" height="8"')
            )
            for each in (path, out)
        ]
        np.testing.assert_array_equal(states(models[0]), states(models[1]))


def test_a_robot_of_our_own_is_exported_with_the_physics_it_is_trained_with(
    database: Database, workspace: Workspace, tmp_path: Path
) -> None:
    robots = [*ROBOTS, mutate(ROBOTS[0], seed=1)]
    robot_library.make_set(database, workspace, "own", [(robot, None) for robot in robots])
    for out, robot in zip(
        robot_library.export_set(database, workspace, "own", tmp_path), robots, strict=True
    ):
        scene = etree.fromstring(scene_xml(robot, TaskConfig()))
        for floor in scene.findall("worldbody/geom"):
            floor.getparent().remove(floor)  # type: ignore[union-attr]
        trained = states(mujoco.MjModel.from_xml_string(etree.tostring(scene).decode()), -1.0)
        exported = states(mujoco.MjModel.from_xml_path(str(out)))
        np.testing.assert_allclose(exported, trained, atol=1e-6)
        assert load_robot(out).digest == robot.digest


def test_another_file_of_the_same_body_and_name_does_not_take_the_first_ones_place(
    database: Database, workspace: Workspace, tmp_path: Path
) -> None:
    save_robot(ROBOTS[0], tmp_path / "plain")
    path = foreign_folder(tmp_path / "foreign")
    imported(database, workspace, tmp_path / "plain", "plain")
    with pytest.raises(RobotError, match="from a file that differs"):
        imported(database, workspace, tmp_path / "foreign", "foreign")
    (out,) = robot_library.export_set(database, workspace, "plain", tmp_path / "out")
    assert b"exclude" not in out.read_bytes()
    path.rename(path.with_name("other.xml"))
    metadata = tmp_path / "foreign" / "metadata"
    (metadata / f"{ROBOTS[0].name}.json").rename(metadata / "other.json")
    imported(database, workspace, tmp_path / "foreign", "foreign")
    (out,) = robot_library.export_set(database, workspace, "foreign", tmp_path / "out")
    assert b"exclude" in out.read_bytes()


def test_importing_again_mends_what_version_0_1_wrote_in_an_imported_files_place(
    database: Database, workspace: Workspace, tmp_path: Path
) -> None:
    robot = ROBOTS[0]
    path = foreign_folder(tmp_path / "in")
    beside = tmp_path / "in" / "metadata" / f"{robot.name}.json"
    document = json.loads(beside.read_text())
    del document["lineage"]
    beside.write_text(json.dumps(document))
    imported(database, workspace, tmp_path / "in", "old")
    (row,) = list_robots(database, "old")
    stored = workspace.resolve(row.path)
    written = save_robot(robot, tmp_path / "as-0.1").read_text()
    old = written.replace(
        '<option timestep="0.005"/>',
        '<option timestep="0.005">\n    <flag filterparent="disable"/>\n  </option>',
    )
    stored.write_text(old)
    imported(database, workspace, tmp_path / "in", "old")
    (out,) = robot_library.export_set(database, workspace, "old", tmp_path / "out")
    assert out.read_bytes() == path.read_bytes()


def test_two_bodies_of_one_name_are_exported_both_and_selected_by_digest(
    database: Database, workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for place, robot in enumerate(ROBOTS[:2]):
        path = save_robot(robot, tmp_path / str(place))
        xml = path.read_bytes()
        beside = tmp_path / str(place) / "metadata" / f"{robot.name}.json"
        save_file("twin", xml, beside.read_bytes(), tmp_path / f"twin{place}")
        imported(database, workspace, tmp_path / f"twin{place}", f"twin{place}")
        rows += [row.digest for row in list_robots(database, f"twin{place}")]
    robot_library.select_into_set(database, "both", rows)
    paths = robot_library.export_set(database, workspace, "both", tmp_path / "out")
    assert sorted(path.name for path in paths) == sorted(
        f"twin-{digest[:7]}.xml" for digest in rows
    )
    assert {load_robot(path).digest for path in paths} == set(rows)
    select = ["robots", "select", "both", "--into", "one", "--home", str(database.home)]
    assert hdtui([*select, "twin"]) == 2
    assert f"name digests: {rows[0][:7]} {rows[1][:7]}" in capsys.readouterr().err
    assert hdtui([*select, rows[1][:7]]) == 0
    assert [row.digest for row in list_robots(database, "one")] == [rows[1]]


def mixed_folder(folder: Path, num_bad: int) -> Path:
    save_robot(ROBOTS[0], folder)
    for number in range(num_bad):
        (folder / "xml" / f"bad-{number:02}.xml").write_text("<mujoco><worldbody/></mujoco>")
    return folder


def test_all_refused_files_are_named_or_counted_and_nothing_is_imported(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = mixed_folder(tmp_path / "mixed", 12)
    home = ["--home", str(database.home)]
    assert hdtui(["robots", "import", str(folder), *home]) == 1
    told = capsys.readouterr().err
    assert "12 of 13 files are refused" in told
    assert [f"bad-{number:02}.xml" in told for number in range(12)] == [True] * 10 + [False] * 2
    assert "and 2 more" in told
    assert "--skip-invalid imports the other 1" in told
    assert list_robots(database) == []
    assert hdtui(["robots", "import", str(folder), "--json", *home]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["set"] is None
    assert len(document["refused"]) == 12


def test_the_rest_is_imported_where_somebody_says_so(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = mixed_folder(tmp_path / "mixed set", 2)
    words = ["robots", "import", str(folder), "--skip-invalid", "--json"]
    assert hdtui([*words, "--home", str(database.home)]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["set"]["name"] == "mixed-set"
    assert document["set"]["size"] == 1
    assert [Path(each["path"]).name for each in document["refused"]] == ["bad-00.xml", "bad-01.xml"]
    assert "2 files left out" in told.err


def test_a_folder_of_refused_files_alone_makes_no_set(tmp_path: Path) -> None:
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml" / "bad.xml").write_text("<svg/>")
    with pytest.raises(InvalidRobotsError, match="the only file is refused") as caught:
        read_robots_of(tmp_path, "x", skip_invalid=True)
    assert "skip-invalid" not in str(caught.value)


def test_links_are_followed_inside_their_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    path = save_robot(ROBOTS[0], folder)
    (folder / "data").mkdir()
    path.rename(folder / "data" / "object")
    path.symlink_to("../data/object")
    outside = save_robot(ROBOTS[1], tmp_path / "elsewhere")
    (folder / "xml" / outside.name).symlink_to(outside)
    (folder / "xml" / "loop.xml").symlink_to("loop.xml")
    found = read_folder(folder)
    assert [file.robot.name for file in found.files] == [ROBOTS[0].name]
    reasons = {refusal.path.name: refusal.reason for refusal in found.refused}
    assert "leads out of" in reasons[outside.name]
    assert set(reasons) == {outside.name, "loop.xml"}


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("my robot", "my-robot"),
        ("Früher Käfer (2)", "Fruher-Kafer-2"),
        ("floor-5506-3-10-01-14-19-06", "floor-5506-3-10-01-14-19-06"),
        ("_hidden", "hidden"),
        ("机器人", "robot"),
        ("a" * 200, "a" * 128),
        ("x\x1b[31m", "x-31m"),
        ("a\udce9", "a"),
        ("kept-", "kept-"),
    ],
)
def test_a_file_gives_its_robot_a_name_one_can_type(stem: str, name: str) -> None:
    assert safe_name(stem) == name


def test_two_files_whose_robots_would_have_one_name_are_told(tmp_path: Path) -> None:
    path = save_robot(ROBOTS[0], tmp_path)
    for stem in ("my robot", "my-robot"):
        path.with_name(f"{stem}.xml").write_bytes(path.read_bytes())
    path.unlink()
    found = read_folder(tmp_path)
    assert [file.robot.name for file in found.files] == ["my-robot"]
    assert found.files[0].path == path.with_name("my-robot.xml")
    assert "would be named my-robot" in found.refused[0].reason
    assert isinstance(found.files[0], RobotFile)
