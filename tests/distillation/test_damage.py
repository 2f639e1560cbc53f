"""Damaged and foreign expert data is refused with a sentence that says what is wrong."""

import json
import pickle
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from folders import read_files
from teachers import silent_context

from engine.config.distillation import CollectionConfig
from engine.distillation.collection import collect_expert_data
from engine.distillation.dataset import load_dataset
from engine.distillation.manifest import MANIFEST_NAME, load_manifest, write_atomically
from engine.errors import DatasetError
from engine.files import file_sha256
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
    def edit(document: dict) -> None:  # type: ignore[type-arg]
        first, second = document["shards"][:2]
        for key in ("path", "sha256"):
            first[key], second[key] = second[key], first[key]

    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match="another robot"):
        load_dataset(folder)


def test_another_observation_layout_is_refused(folder: Path) -> None:
    def edit(document: dict) -> None:  # type: ignore[type-arg]
        document["source"]["observation_layout"].reverse()

    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match="observation columns"):
        load_dataset(folder)


def test_shards_of_mixed_layouts_are_refused(folder: Path) -> None:
    def edit(document: dict) -> None:  # type: ignore[type-arg]
        document["shards"][0]["num_limbs"] += 1

    _edit_manifest(folder, edit)
    with pytest.raises(DatasetError, match="layouts differ"):
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
