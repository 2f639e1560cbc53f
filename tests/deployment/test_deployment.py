"""Deployed files act as the student, are small, say what they are, and run without us."""

import ast
import hashlib
import json
import math
import os
import pickle
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from students import save_student

from engine.config.base import TaskConfig, TaskName
from engine.config.distillation import student_network
from engine.config.evaluation import DeploymentConfig
from engine.config.network import NetworkSize, named_network
from engine.deployment import runtime
from engine.deployment.actors import DeployedActors
from engine.deployment.deploy import RUNNER, deploy_student, random_inputs, write_file
from engine.deployment.folding import fold, hypernetwork_of, load_arrays, plain_arrays
from engine.deployment.onnx_policy import OnnxPolicy
from engine.deployment.runtime import (
    DeployedFileError,
    DeployedMLP,
    json_path,
    load_deployed,
    load_document,
)
from engine.deployment.storage import PACKED, packed, unpacked
from engine.environments import VectorEnvironment
from engine.errors import DeploymentError
from engine.events import ArtifactWritten, Event, StageContext
from engine.files import file_sha256
from engine.morphology.family import UNIMAL
from engine.morphology.generation import generate
from engine.morphology.tree import Morphology
from engine.policies.base_mlp import BaseMLP
from engine.policies.robots import robot_batch
from engine.policies.widths import network_widths
from engine.rollout.saved_policy import load_policy
from hdtui.cli.deploy import copy_deployed

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "drive_deployed_policy.py"


@pytest.fixture(scope="session")
def robots() -> list[Morphology]:
    return generate(3, seed=9)


def _context(folder: Path) -> StageContext:
    return StageContext(folder, 1, lambda event: None, lambda: False)


def _deploy(
    folder: Path,
    robots: list[Morphology],
    task: TaskName = "flat",
    file_format: str = "npz",
    size: NetworkSize = "small",
) -> tuple[Path, list[Path]]:
    network = student_network(size, task)
    student = save_student(folder / "student.safetensors", task, network)
    config = DeploymentConfig.model_validate({"format": file_format})
    return student, deploy_student(config, student, robots, _context(folder))


@pytest.mark.parametrize("task", ["flat", "variable"])
def test_student_torch_numpy_and_onnx_agree_on_a_thousand_random_observations(
    tmp_path: Path, robots: list[Morphology], task: TaskName
) -> None:
    robots = robots if task == "flat" else robots[:1]
    student_path, paths = _deploy(tmp_path, robots, task, size="published")
    _, onnx_paths = _deploy(tmp_path, robots, task, "onnx", "published")
    student = hypernetwork_of(load_policy(student_path)[0], "student")
    widths = network_widths(student.widths.terrain_points)
    for robot, path, onnx_path in zip(robots, paths, onnx_paths, strict=True):
        observation, terrain = random_inputs(7, student, robot, 1000)
        batch = robot_batch([robot], "cpu")
        rows = torch.from_numpy(observation.reshape(-1, observation.shape[-1]))
        heights = None if terrain is None else torch.from_numpy(terrain)
        with torch.no_grad():
            expected = student.mean(student.encode(batch), rows, batch.packing(1000), heights)
        expected = expected.numpy().reshape(1000, robot.num_limbs, -1)
        module = BaseMLP(
            widths,
            robot.num_limbs,
            hidden_width=256,
            hidden_layers=len(student.hidden_weights),
            terrain_width=64,
        )
        load_arrays(module, fold(student, robot))
        with torch.no_grad():
            in_torch = module(torch.from_numpy(observation), heights).numpy()
        in_numpy = load_deployed(path).means(observation, terrain)
        session = onnxruntime.InferenceSession(onnx_path, providers=["CPUExecutionProvider"])
        inputs = {"observation": observation} | ({} if terrain is None else {"terrain": terrain})
        (in_onnx,) = session.run(["action_mean"], inputs)
        assert np.abs(expected).max() > 0.1
        for found in (in_torch, in_numpy, in_onnx):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
        assert not in_numpy[:, ~robot.joint_mask].any()


def test_a_policy_that_sees_terrain_is_under_a_megabyte_on_a_robot_with_all_limbs(
    tmp_path: Path,
) -> None:
    largest = next(
        robot
        for seed in range(1000)
        for robot in generate(8, seed=seed)
        if robot.num_limbs == UNIMAL.max_limbs
    )
    for file_format in ("npz", "onnx"):
        _, (path,) = _deploy(tmp_path, [largest], "variable", file_format, "published")
        document = json.loads(json_path(path).read_text())
        assert sum(4 * math.prod(shape) for shape in document["arrays"].values()) > 1_100_000
        assert document["storage"] == PACKED
        assert path.stat().st_size < 950_000


def test_packed_weights_by_hand() -> None:
    weight = np.array([[1.5, -1.0, 2.0**-22], [0.0, 0.0, 0.0]], np.float32)
    high, low, scale = packed(weight)
    assert scale.tolist() == [[2.0**-22], [2.0**-23]]
    whole = [[3 * 2**21, -(2**22), 1], [0, 0, 0]]
    np.testing.assert_array_equal(256 * high.astype(np.int64) + low, whole)


@given(arrays(np.float32, (3, 5), elements=st.floats(-(2.0**40), 2.0**40, width=32)))
def test_packed_weights_come_back_as_they_were_rounded(weights: np.ndarray) -> None:
    kept = unpacked(*packed(weights))
    largest = np.abs(weights).max(axis=1, keepdims=True)
    assert (np.abs(kept - weights) <= 2.0**-23 * largest + 2.0**-120).all()
    np.testing.assert_array_equal(unpacked(*packed(kept)), kept)


def test_evaluation_runs_onnx_files_as_they_are(tmp_path: Path, robots: list[Morphology]) -> None:
    _, paths = _deploy(tmp_path, robots)
    _, onnx_paths = _deploy(tmp_path, robots, file_format="onnx")
    environment = VectorEnvironment(robots, TaskConfig(), 3, 0)
    environment.reset()
    expected = DeployedActors(tuple(paths)).actor(robots, 3, 0)
    found = DeployedActors(tuple(onnx_paths)).actor(robots, 3, 0)
    np.testing.assert_allclose(
        found.means(environment.observation, None),
        expected.means(environment.observation, None),
        atol=1e-5,
    )
    onnx_paths[0].write_bytes(onnx_paths[0].read_bytes()[:-500])
    with pytest.raises(DeploymentError, match="holds other bytes"):
        DeployedActors(tuple(onnx_paths)).actor(robots, 3, 0)


@pytest.mark.parametrize("file_format", ["npz", "onnx"])
@pytest.mark.parametrize("task", ["flat", "variable"])
def test_a_file_is_under_a_megabyte_and_describes_its_inputs_and_outputs(
    tmp_path: Path, robots: list[Morphology], task: TaskName, file_format: str
) -> None:
    _, paths = _deploy(tmp_path, robots[:1], task, file_format, "published")
    for robot, path in zip(robots, paths, strict=False):
        assert path.stat().st_size < 1_000_000
        document = json.loads(json_path(path).read_text())
        assert document["robot"]["digest"] == robot.digest
        assert document["input"]["shape"][1:] == [robot.num_limbs, 17]
        columns = [column for f in document["input"]["features"] for column in range(*f["columns"])]
        assert columns == list(range(17))
        named = [[name is not None for name in joints] for joints in document["output"]["joints"]]
        assert named == robot.joint_mask.tolist()
        names = {name for joints in document["output"]["joints"] for name in joints if name}
        assert set(document["input"]["joint_range_rad"]) == names


def test_folding_a_module_and_unfolding_it_changes_nothing() -> None:
    for points in (0, 9):
        widths = network_widths(points)
        one, other = (
            BaseMLP(widths, 4, hidden_width=8, hidden_layers=2, terrain_width=3) for _ in range(2)
        )
        load_arrays(other, plain_arrays(one))
        for first, second in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(first, second)


@pytest.mark.parametrize("file_format", ["npz", "onnx"])
@pytest.mark.parametrize("task", ["flat", "variable"])
def test_both_formats_take_and_refuse_the_same_inputs_by_name(
    tmp_path: Path, robots: list[Morphology], task: TaskName, file_format: str
) -> None:
    _, (path, *_) = _deploy(tmp_path, robots[:1], task, file_format)
    limbs = robots[0].num_limbs
    if file_format == "npz":
        policy: DeployedMLP | OnnxPolicy = load_deployed(path)
    else:
        policy = OnnxPolicy(path.read_bytes(), path, load_document(path))
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, limbs, 17)).astype(np.float32)
    ground = None if task == "flat" else rng.normal(size=(3, 1410)).astype(np.float32)
    expected = policy.means(rows, ground)
    assert expected.shape == (3, limbs, 2)
    for same in (rows.tolist(), rows.astype(np.float64), rows.reshape(3, -1)):
        np.testing.assert_array_equal(policy.means(same, ground), expected)
    first = policy.means(rows[:1], None if ground is None else ground[:1])
    for alone in (rows[0], rows[0].ravel(), rows[0].tolist()):
        found = policy.means(alone, None if ground is None else ground[0])
        np.testing.assert_array_equal(found, first)
    none = policy.means(rows[:0], None if ground is None else ground[:0])
    assert none.shape == (0, limbs, 2)
    wrong: list[Any] = [rows.transpose(0, 2, 1), rows[:, :1], rows[:, :1, :1], rows[:, :, :1]]
    wrong += [rows[None], rows[0, :2], 0.5, [], [[1.0], [1.0, 2.0]], None, "abc", rows > 0]
    wrong += [rows.astype(str), rows.astype(object), rows + 1j, rows * np.inf, rows * np.nan]
    wrong += [rows.astype(np.float64) * 1e300]
    for refused in wrong:
        with pytest.raises(ValueError, match=r"^observation (has|holds|is) .*"):
            policy.means(refused, ground)
    with pytest.raises(ValueError, match=rf"shape \(3, 17, {limbs}\), expected \(N, {limbs}, 17\)"):
        policy.means(wrong[0], ground)
    grounds = (
        [np.zeros((3, 9))] if ground is None else [None, ground[:2], ground.T, ground * np.nan]
    )
    for other in grounds:
        with pytest.raises(ValueError, match="terrain"):
            policy.means(rows, other)


def test_weights_that_are_not_finite_are_named_in_both_formats(
    tmp_path: Path, robots: list[Morphology]
) -> None:
    import onnx

    _, (path,) = _deploy(tmp_path, robots[:1])
    arrays_ = dict(np.load(path))
    # A weight that the trial on zeros never meets.
    arrays_["input_weight"][3, 0] = np.inf
    np.savez(path, allow_pickle=False, **arrays_)
    _describe_anew(path, arrays_)
    with pytest.raises(
        DeployedFileError, match=rf"{path.name}.*input_weight holds numbers that are"
    ):
        load_deployed(path)
    _, (path,) = _deploy(tmp_path / "onnx", robots[:1], "flat", "onnx")
    model = onnx.load_from_string(path.read_bytes())
    (weight,) = (each for each in model.graph.initializer if each.name == "input_weight")
    spoilt = onnx.numpy_helper.to_array(weight).copy()
    spoilt[3, 0] = np.nan
    weight.CopyFrom(onnx.numpy_helper.from_array(spoilt, "input_weight"))
    with pytest.raises(DeploymentError, match=rf"{path.name}: input_weight holds numbers that are"):
        OnnxPolicy(model.SerializeToString(), path, load_document(path))


def test_files_that_are_none_are_not_opened_by_the_runtime(
    tmp_path: Path, robots: list[Morphology], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (path,) = _deploy(tmp_path, robots[:1])
    with pytest.raises(DeployedFileError, match="ONNX"):
        load_deployed(path.with_suffix(".onnx"))
    nested = json_path(path).read_text()
    json_path(path).write_text("[" * 100_000)
    with pytest.raises(DeployedFileError, match="not readable"):
        load_deployed(path)
    json_path(path).write_text(nested)
    monkeypatch.setattr(runtime, "LARGEST_BYTES", 1_000_000)
    large = dict(np.load(path)) | {"input_bias": np.zeros(2**19, np.float32)}
    np.savez_compressed(path, allow_pickle=False, **large)
    _describe_anew(path, large)
    with pytest.raises(DeployedFileError, match="more than any policy"):
        load_deployed(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DeployedFileError, match="not read"):
        load_deployed(path)


def test_what_runs_elsewhere_keeps_to_python_3_8() -> None:
    """Only names of that Python: no annotation is evaluated, no newer syntax or argument used."""
    for path in (RUNNER, EXAMPLE):
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        keywords = {(ast.unparse(call.func), each.arg) for call in calls for each in call.keywords}
        assert ("zip", "strict") not in keywords
        annotated = [n for n in ast.walk(tree) if isinstance(n, ast.AnnAssign | ast.FunctionDef)]
        postponed = any(
            isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body
        )
        assert postponed or not annotated
    imported = {
        alias.name
        for node in ast.parse(RUNNER.read_text()).body
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    # numpy.typing came with numpy 1.20.
    assert imported == {"hashlib", "io", "json", "stat", "zipfile", "zlib"} | {"numpy"}


def test_the_example_answers_wrong_names_with_a_sentence(tmp_path: Path) -> None:
    for words in ([], ["missing.npz"], ["missing.onnx"], ["missing.npz", "many"]):
        done = subprocess.run(
            [sys.executable, str(EXAMPLE), *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "NAME.npz" in done.stderr


def test_the_runtime_needs_numpy_alone(tmp_path: Path, robots: list[Morphology]) -> None:
    _, (path, *_) = _deploy(tmp_path, robots[:1])
    copied = copy_deployed(path, tmp_path / "out")
    assert path.with_name("runtime.py").read_bytes() == RUNNER.read_bytes()
    code = (
        f"import sys, numpy; sys.path.insert(0, {str(copied.parent)!r}); import runtime\n"
        f"policy = runtime.load_deployed({str(copied)!r})\n"
        f"policy.means(numpy.zeros((1, {robots[0].num_limbs}, 17), numpy.float32))\n"
        "print([name for name in ('torch', 'mujoco', 'engine') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("ground", ["flat", "incline"])
def test_the_example_drives_the_robot_exactly_as_our_environment_does(
    tmp_path: Path, robots: list[Morphology], ground: TaskName
) -> None:
    _, paths = _deploy(tmp_path, robots, ground)
    steps = 12
    for robot, path in zip(robots, paths, strict=True):
        task = TaskConfig(name=ground, reset_noise=0.0)
        level = math.cos(math.radians(task.incline_deg)) if ground == "incline" else 1.0
        environment = VectorEnvironment([robot], task, 1, 0, dtype=np.float64)
        environment.reset()
        actor = DeployedActors((path,)).actor([robot], 1, 0)
        travelled = 0.0
        for _ in range(steps):
            environment.step(actor.means(environment.observation, environment.terrain))
            travelled += float(environment.reward[0]) * 0.02 * level
            assert not environment.terminated[0]
        done = subprocess.run(
            [sys.executable, str(EXAMPLE), str(path), str(steps)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"{travelled:.2f} m forward" in done.stdout


def test_what_is_copied_out_runs_alone_and_says_what_it_cannot_do(
    tmp_path: Path, robots: list[Morphology]
) -> None:
    def example(path: Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(EXAMPLE), str(path), "5"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    _, paths = _deploy(tmp_path / "flat", robots[:1])
    copy_deployed(paths[0], tmp_path / "out")
    assert load_deployed(tmp_path / "out" / paths[0].name)
    assert "m forward" in example(tmp_path / "out" / paths[0].name).stdout
    _, paths = _deploy(tmp_path / "variable", robots[:1], "variable")
    copy_deployed(paths[0], tmp_path / "out")
    assert "expected a policy for flat ground" in example(tmp_path / "out" / paths[0].name).stderr
    paths[0].with_suffix(".json").unlink()
    with pytest.raises(DeploymentError, match="cannot be copied"):
        copy_deployed(paths[0], tmp_path / "out")


def test_a_deployment_that_goes_on_makes_only_what_is_missing_damaged_or_of_another_student(
    tmp_path: Path, robots: list[Morphology]
) -> None:
    student, paths = _deploy(tmp_path, robots)
    known = {path.name: file_sha256(path) for path in paths}
    before = {path.name: path.read_bytes() for path in paths}
    paths[0].unlink()
    paths[1].write_bytes(b"half a file")

    def made(student: Path) -> list[str]:
        events: list[Event] = []
        context = StageContext(tmp_path, 2, events.append, lambda: False)
        assert deploy_student(DeploymentConfig(), student, robots, context, known) == paths
        return [
            each.name
            for each in events
            if isinstance(each, ArtifactWritten) and each.kind == "deployed_policy"
        ]

    assert made(student) == [path.name for path in paths[:2]]
    assert {path.name: path.read_bytes() for path in paths} == before
    other = save_student(tmp_path / "other.safetensors", "flat", student_network("small"), 0.02)
    assert made(other) == [path.name for path in paths]


def test_a_student_without_a_base_mlp_is_refused(tmp_path: Path, robots: list[Morphology]) -> None:
    network = named_network("transformer", "small")
    student = save_student(tmp_path / "student.safetensors", "flat", network)
    with pytest.raises(DeploymentError, match="hypernetwork"):
        deploy_student(DeploymentConfig(), student, robots, _context(tmp_path))


def test_a_student_that_diverged_is_refused(tmp_path: Path, robots: list[Morphology]) -> None:
    path = save_student(
        tmp_path / "student.safetensors", "flat", student_network("small"), scale=1e30
    )
    with pytest.raises(DeploymentError, match="diverged"):
        deploy_student(DeploymentConfig(), path, robots, _context(tmp_path))


def test_two_robots_of_one_name_are_refused_before_anything_is_written(
    tmp_path: Path, robots: list[Morphology]
) -> None:
    student, _ = _deploy(tmp_path / "first", robots[:1])
    namesake = replace(robots[1], name=robots[0].name)
    with pytest.raises(DeploymentError, match="two robots of that name"):
        deploy_student(
            DeploymentConfig(), student, [robots[0], namesake], _context(tmp_path / "second")
        )
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("file_format", ["npz", "onnx"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "pickle", "foreign", "missing"])
def test_a_damaged_file_is_refused(
    tmp_path: Path, robots: list[Morphology], damage: str, file_format: str
) -> None:
    twin = replace(robots[0], name="twin")
    moved = replace(twin, limbs=tuple(replace(limb, radius_m=0.04) for limb in twin.limbs))
    _, (path, other) = _deploy(tmp_path, [robots[0], moved], file_format=file_format)
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[:-2000])
    elif damage == "flipped":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "pickle":
        path.write_bytes(pickle.dumps({"input_weight": 1}))
    elif damage == "foreign":  # of a robot with as many limbs: its arrays have equal shapes
        path.write_bytes(other.read_bytes())
    else:
        json_path(path).unlink()
    with pytest.raises(DeploymentError, match=path.stem):
        DeployedActors((path,)).actor([robots[0]], 1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"input": None},
        {"output": {"limbs": []}},
        {"arrays": {}},
        {"input": {"limbs": [], "shape": ["N", 0, 17]}},
        {"output": {"joint_slots": "x", "shape": ["N", 1, 2]}},
        {"terrain": {"shape": ["N", 3]}},
        {"content": None},
        {"format_version": 1},
    ],
)
def test_a_json_that_describes_another_policy_is_refused(
    tmp_path: Path, robots: list[Morphology], change: dict[str, object]
) -> None:
    _, (path,) = _deploy(tmp_path, robots[:1])
    document = json.loads(json_path(path).read_text())
    json_path(path).write_text(json.dumps(document | change))
    with pytest.raises(DeployedFileError, match=path.stem):
        load_deployed(path)


def test_arrays_that_are_missing_or_no_numbers_are_refused(
    tmp_path: Path, robots: list[Morphology]
) -> None:
    _, (path,) = _deploy(tmp_path, robots[:1])
    intact = dict(np.load(path))
    lacking = {name: array for name, array in intact.items() if name != "output_bias"}
    endless = intact | {"output_bias": np.full_like(intact["output_bias"], np.nan)}
    for arrays_ in (lacking, endless, intact | {"extra.scale": intact["output_bias"]}):
        np.savez(path, allow_pickle=False, **arrays_)
        _describe_anew(path, arrays_)
        with pytest.raises(DeployedFileError, match=path.stem):
            load_deployed(path)


def _describe_anew(path: Path, arrays_: dict[str, np.ndarray]) -> None:
    """A JSON that agrees with whatever stands in the file."""
    document = json.loads(json_path(path).read_text())
    document["arrays"] = {name: list(array.shape) for name, array in sorted(arrays_.items())}
    document["content"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    json_path(path).write_text(json.dumps(document))


def test_a_robot_without_a_file_is_named(tmp_path: Path, robots: list[Morphology]) -> None:
    _, paths = _deploy(tmp_path, robots[:1])
    with pytest.raises(DeploymentError, match=robots[1].name):
        DeployedActors(tuple(paths)).actor([robots[1]], 1, 0)


def test_deployed_actors_of_several_robots_act_as_each_alone(
    tmp_path: Path, robots: list[Morphology]
) -> None:
    _, paths = _deploy(tmp_path, robots)
    environment = VectorEnvironment(robots, TaskConfig(), 3, 0)
    environment.reset()
    actors = DeployedActors(tuple(paths))
    together = actors.actor(robots, 3, 0).means(environment.observation, None)
    for robot, rows in zip(robots, environment.packing.robot_rows, strict=True):
        alone = actors.actor([robot], 3, 0).means(environment.observation[rows], None)
        np.testing.assert_array_equal(together[rows], alone)


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(DeploymentError, match="cannot be written"):
            write_file(tmp_path / "file", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
