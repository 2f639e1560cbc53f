"""Damaged and foreign expert data is refused with a sentence that says what is wrong."""

import json
import pickle
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import read_files
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save
from teachers import silent_context

from engine.config.distillation import CollectionConfig
from engine.distillation.collection import collect_expert_data
from engine.distillation.dataset import load_dataset
from engine.distillation.manifest import MANIFEST_NAME, load_manifest, write_atomically
from engine.distillation.shards import ShardArrays, all_finite, open_shard, write_shard
from engine.errors import DatasetError
from engine.files import file_sha256
from engine.morphology.mjcf import load_robot, save_robot
from engine.morphology.tree import Morphology

BLOCK_BYTES = 4096


@pytest.fixture
def folder(tmp_path: Path, expert_folder: Path) -> Path:
    """A copy of good expert data, to be damaged."""
    return Path(shutil.copytree(expert_folder, tmp_path / "data"))


def _first_shard(folder: Path) -> Path:
    return folder / load_manifest(folder).shards[0].path


def _edit_manifest(folder: Path, edit: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    path = folder / MANIFEST_NAME
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def test_intact_data_loads(folder: Path) -> None:
    assert len(load_dataset(folder).robots) == 4


def test_a_truncated_shard_is_refused(folder: Path) -> None:
    shard = _first_shard(folder)
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DatasetError, match="truncated, altered or foreign"):
        load_dataset(folder)


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_flipped_byte_is_refused_wherever_it_is(folder: Path, place: int) -> None:
    shard = _first_shard(folder)
    content = bytearray(shard.read_bytes())
    content[place] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match="truncated, altered or foreign"):
        load_dataset(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    name = load_manifest(folder).shards[0].name
    _first_shard(folder).unlink()
    with pytest.raises(DatasetError, match=name):
        load_dataset(folder)


def test_a_manifest_of_another_teacher_is_refused(folder: Path) -> None:
    def edit(document: dict) -> None:  # type: ignore[type-arg]
        document["source"]["teacher_sha256"] = "0" * 64

    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match="two teachers"):
        load_dataset(folder)


def test_shards_swapped_between_robots_are_refused(folder: Path) -> None:
    first, second = (folder / shard.path for shard in load_manifest(folder).shards[:2])
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)

    def edit(document: dict) -> None:  # type: ignore[type-arg]
        one, other = document["shards"][:2]
        one["sha256"], other["sha256"] = other["sha256"], one["sha256"]

    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match="another robot"):
        load_dataset(folder)


def test_a_robots_shard_has_its_name(folder: Path) -> None:
    def edit(document: dict) -> None:  # type: ignore[type-arg]
        one, other = document["shards"][:2]
        one["path"], other["path"] = other["path"], one["path"]

    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match="path 'shards/"):
        load_dataset(folder)


def test_another_observation_layout_is_refused(folder: Path) -> None:
    def edit(document: dict) -> None:  # type: ignore[type-arg]
        document["source"]["observation_layout"].reverse()

    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match="observation columns"):
        load_dataset(folder)


Change = Callable[[dict[str, Any]], object]
"""Changes arrays by their names."""


def _rewrite(folder: Path, change: Change, **source: object) -> str:
    """The first shard with other arrays, or as of another source; its hash is made to fit."""
    manifest = load_manifest(folder)
    shard = manifest.shards[0]
    arrays = {
        name: np.array(array)
        for name, array in open_shard(folder, shard, manifest.source).tensors().items()
    }
    change(arrays)
    changed = ShardArrays(arrays["observation"], arrays["action"], arrays["action_mean"], None)
    written_as = manifest.source.model_copy(update=source)
    sha256 = write_shard(folder / shard.path, changed, shard.robot_digest, written_as)
    _edit_manifest(folder, lambda document: document["shards"][0].update(sha256=sha256))
    return shard.name


def test_shards_of_mixed_layouts_are_refused(folder: Path) -> None:
    """Of equal width, but the columns stand in another order."""
    layout = load_manifest(folder).source.observation_layout

    def reverse(arrays: dict[str, Any]) -> None:
        arrays["observation"] = arrays["observation"][..., ::-1]

    name = _rewrite(folder, reverse, observation_layout=layout[::-1])
    with pytest.raises(DatasetError, match=f"{name}.* the layouts differ") as caught:
        load_dataset(folder)
    assert "joint_velocity_1:1 joint_position_1:1" in str(caught.value)
    assert "position:3 linear_velocity:3" in str(caught.value)


def _without_a_column(arrays: dict[str, Any]) -> None:
    arrays["observation"] = arrays["observation"][..., 1:]


def _in_half_precision(arrays: dict[str, Any]) -> None:
    arrays["observation"] = arrays["observation"].astype(np.float16)


def _in_whole_numbers(arrays: dict[str, Any]) -> None:
    arrays["action"] = arrays["action"].astype(np.int64)


def _empty(arrays: dict[str, Any]) -> None:
    arrays["action"] = arrays["action"][:0]


def _with_another_limb(arrays: dict[str, Any]) -> None:
    for name, array in arrays.items():
        arrays[name] = np.concatenate([array, array[:, :1]], axis=1)


@pytest.mark.parametrize(
    "change",
    [_without_a_column, _in_half_precision, _in_whole_numbers, _empty, _with_another_limb],
)
def test_arrays_of_other_shapes_or_types_are_refused(folder: Path, change: Change) -> None:
    name = _rewrite(folder, change)
    with pytest.raises(DatasetError, match=f"{name}.* promises .*F32"):
        load_dataset(folder)


@pytest.mark.parametrize("array", ["observation", "action", "action_mean"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_shard_with_numbers_that_are_not_finite_is_refused(
    folder: Path, array: str, number: float
) -> None:
    def change(arrays: dict[str, Any]) -> None:
        arrays[array][-1, -1, -1] = number

    name = _rewrite(folder, change)
    with pytest.raises(DatasetError, match=f"{name}.*: {array} holds a number that is not finite"):
        load_dataset(folder)


@given(
    size=st.integers(1, 3 * 2**18 + 5),
    place=st.floats(0, 1, exclude_max=True),
    number=st.sampled_from([np.nan, np.inf, -np.inf]),
    dtype=st.sampled_from([np.float32, np.float16]),
)
@settings(max_examples=30, deadline=None)
def test_one_number_that_is_not_finite_is_found_wherever_it_is(
    size: int, place: float, number: float, dtype: type[np.floating[Any]]
) -> None:
    array = np.zeros(size, dtype)
    assert all_finite(array)
    array[int(place * size)] = number
    assert not all_finite(array)


def test_samples_of_one_limb_more_than_the_robot_has_are_refused(folder: Path) -> None:
    """Shard and manifest agree with each other."""
    _rewrite(folder, _with_another_limb)

    def edit(document: dict[str, Any]) -> None:
        shard = document["shards"][0]
        shard["num_limbs"] += 1
        shard["moments"]["count"] = shard["num_limbs"] * shard["samples"]

    limbs = load_manifest(folder).shards[0].num_limbs
    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match=f"samples of {limbs + 1} limbs.* has {limbs};"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("[]", "says of its origin"),
        ('{"robot_digest": "DIGEST", "teacher_sha256": 5}', "says of its origin"),
        ("{}", "another robot's samples"),
        ("not JSON", "no safetensors file"),
        ("[" * 100_000, "no safetensors file"),
        (None, "another robot's samples"),
        ('{"robot_digest": "DIGEST", "teacher_sha256": "TEACHER"}', "the layouts differ"),
    ],
)
def test_a_shard_of_odd_origin_is_refused(folder: Path, origin: str | None, said: str) -> None:
    manifest = load_manifest(folder)
    shard = manifest.shards[0]
    content = {"observation": np.zeros((2, 2), np.float32)}
    metadata = None
    if origin is not None:
        origin = origin.replace("DIGEST", shard.robot_digest)
        metadata = {"hdtui": origin.replace("TEACHER", manifest.source.teacher_sha256)}
    (folder / shard.path).write_bytes(save(content, metadata=metadata))
    sha256 = file_sha256(folder / shard.path)
    _edit_manifest(folder, lambda document: document["shards"][0].update(sha256=sha256))
    with pytest.raises(DatasetError, match=f"{shard.name}.*{said}"):
        load_dataset(folder)


HOSTILE: dict[str, tuple[Change, str]] = {
    "a mean too few": (lambda d: _moments(d)["mean"].pop(), "16 numbers in moments.mean, expected"),
    "no variance": (lambda d: _moments(d)["variance"].clear(), "0 numbers in moments.variance"),
    "a huge count": (lambda d: _moments(d).update(count=10**19), "0000 moments.count, expected"),
    "no count": (lambda d: _moments(d).update(count=0), r"moments.count: .*, found 0"),
    "a negative variance": (
        lambda d: _moments(d)["variance"].__setitem__(3, -1.0),
        r"variance.3: .* or equal to 0, found -1.0",
    ),
    "a huge variance": (
        lambda d: _moments(d)["variance"].__setitem__(0, 1e308),
        r"variances up to 1e\+308",
    ),
    "a mean that is none": (lambda d: _moments(d)["mean"].__setitem__(2, 1e9), "to 1e\\+09"),
    "NaN": (lambda d: _moments(d)["mean"].__setitem__(0, float("nan")), "finite number, found nan"),
    "a name twice": (lambda d: d["shards"].append(d["shards"][0]), "named twice"),
    "a digest twice": (
        lambda d: d["source"]["robots"].update(twin=d["shards"][0]["robot_digest"]),
        "two robots with one digest",
    ),
    "a robot that nobody asked for": (
        lambda d: d["source"]["robots"].pop(d["shards"][0]["name"]),
        "source.robots has none",
    ),
    "a robot left out": (lambda d: d["shards"].pop(), "complete, but without .* and 0 more"),
    "a name that leaves the folder": (
        lambda d: d["shards"][0].update(name="../x"),
        r"name: .*, found '\.\./x'",
    ),
    "another family": (lambda d: d["source"].update(family="spiders"), "family 'spiders'"),
    "negative samples": (
        lambda d: d["source"].update(samples_per_robot=-1),
        "samples_per_robot: .*, found -1",
    ),
    "fewer samples": (lambda d: d["shards"][0].update(samples=59), "59 samples, expected 60"),
    "huge noise": (
        lambda d: d["source"].update(action_std=1e308),
        r"action_std: .* equal to 1000, found 1e\+308",
    ),
    "a fall fraction above one": (
        lambda d: d["shards"][0]["statistics"].update(fall_fraction=2),
        "fall_fraction: .*, found 2",
    ),
    "another version": (
        lambda d: d.update(format_version=1),
        "'hdtui-expert-data' 1, expected .* 2; collect the data again",
    ),
    "an unknown field": (lambda d: d.update(extra=1), "extra"),
}


def _moments(document: dict[str, Any]) -> dict[str, Any]:
    moments: dict[str, Any] = document["shards"][0]["moments"]
    return moments


@pytest.mark.parametrize("case", HOSTILE)
def test_a_manifest_that_cannot_be_true_is_refused(folder: Path, case: str) -> None:
    change, said = HOSTILE[case]
    _edit_manifest(folder, change)
    with pytest.raises(DatasetError, match=said) as caught:
        load_dataset(folder)
    assert str(folder) in str(caught.value)


def test_a_manifest_of_the_first_version_is_refused_by_its_version(folder: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["format_version"] = 1
        del document["source"]["robots"], document["source"]["maximum_fall_fraction"]

    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match="collect the data again with this version"):
        load_dataset(folder)


def test_a_cut_robot_file_is_named_with_what_helps(folder: Path) -> None:
    shard = load_manifest(folder).shards[0]
    (folder / shard.robot_path).write_bytes(b"<mujoco>")
    with pytest.raises(DatasetError, match=f"{shard.name}.*hdtui runs resume"):
        load_dataset(folder)


def test_a_pickle_with_a_fitting_name_and_digest_is_not_opened(folder: Path) -> None:
    shard = _first_shard(folder)
    shard.write_bytes(pickle.dumps({"observation": [1.0]}))

    def edit(document: dict) -> None:  # type: ignore[type-arg]
        document["shards"][0]["sha256"] = file_sha256(shard)

    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match="no safetensors file"):
        load_dataset(folder)


def test_a_shard_outside_the_folder_is_refused(folder: Path) -> None:
    def edit(document: dict) -> None:  # type: ignore[type-arg]
        document["shards"][0]["path"] = "shards/../../secret.safetensors"

    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match="path"):
        load_dataset(folder)


@pytest.mark.parametrize("content", ["", "[]", '{"format": "other"}', "\x00\x01"])
def test_a_manifest_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST_NAME).write_text(content)
    with pytest.raises(DatasetError, match="manifest"):
        load_dataset(folder)


def test_a_changed_robot_file_is_refused(folder: Path) -> None:
    first, second = load_manifest(folder).shards[:2]
    for kind, suffix in (("xml", "xml"), ("metadata", "json")):
        files = [folder / "robots" / kind / f"{shard.name}.{suffix}" for shard in (second, first)]
        shutil.copy(*files)
    with pytest.raises(DatasetError, match="digest"):
        load_dataset(folder)


def test_a_full_disk_is_a_clear_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    write_atomically(path, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(DatasetError, match="cannot be written"):
            write_atomically(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_robots_files_are_written_whole_or_not_at_all(
    tmp_path: Path, robots: list[Morphology]
) -> None:
    path = save_robot(robots[0], tmp_path)
    before = read_files(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_robot(replace(robots[1], name=robots[0].name), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_files(tmp_path) == before
    assert load_robot(path).digest == robots[0].digest


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MiB, which only root can make."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
def test_a_collection_on_a_full_disk_says_so_and_goes_on_once_there_is_space(
    full_disk: Path,
    teacher_path: Path,
    robots: list[Morphology],
    collection: CollectionConfig,
    expert_folder: Path,
) -> None:
    ballast = full_disk / "ballast"
    files = [path for path in expert_folder.rglob("*") if path.is_file()]
    needed = sum(-(-path.stat().st_size // BLOCK_BYTES) * BLOCK_BYTES for path in files)
    ballast.write_bytes(bytes(shutil.disk_usage(full_disk).free - int(0.7 * needed)))
    with pytest.raises(DatasetError, match=r"cannot be written \(No space left"):
        collect_expert_data(collection, teacher_path, robots, silent_context(full_disk))
    kept = load_manifest(full_disk / "expert-data")
    assert 0 < len(kept.shards) < len(robots)
    assert not kept.complete
    assert not list(full_disk.rglob("*.tmp"))
    ballast.unlink()
    folder = collect_expert_data(collection, teacher_path, robots, silent_context(full_disk))
    assert read_files(folder) == read_files(expert_folder)
