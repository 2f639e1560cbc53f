"""Policy files that people name: accepted, hashed, and refused in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from engine.deployment.runtime import FORMAT, FORMAT_VERSION
from engine.errors import CheckpointError, UsageError
from engine.files import file_sha256
from engine.workers.policy_files import (
    DEPLOYED,
    NETWORK,
    find_policy_file,
    find_policy_files,
    policy_file_of,
)


def network_file(path: Path, task: str = "flat") -> Path:
    """A file with the header of a policy."""
    document = json.dumps({"policy": {"task": task}})
    save_file({"weight": np.zeros(1, np.float32)}, path, metadata={"hdtui": document})
    return path


def deployed_file(path: Path, digest: str) -> Path:
    """A deployed policy of one limb without hidden layers."""
    arrays = {
        "input_weight": np.zeros((17, 4), np.float32),
        "input_bias": np.zeros(4, np.float32),
        "output_weight": np.zeros((4, 2), np.float32),
        "output_bias": np.zeros(2, np.float32),
        "observation_low": np.zeros(17, np.float32),
        "observation_high": np.ones(17, np.float32),
    }
    np.savez(path, allow_pickle=False, **arrays)
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "robot": {"digest": digest},
        "input": {"limbs": ["torso/0"], "shape": ["N", 1, 17]},
        "output": {"joint_slots": 2, "shape": ["N", 1, 2]},
        "terrain": None,
        "content": {"sha256": file_sha256(path)},
        "arrays": {name: list(array.shape) for name, array in arrays.items()},
    }
    path.with_suffix(".json").write_text(json.dumps(document))
    return path


def test_files_are_hashed_when_queued_and_refused_once_changed(tmp_path: Path) -> None:
    path = network_file(tmp_path / "policy.safetensors")
    file = policy_file_of(json.loads(json.dumps(find_policy_file(path, "flat", ()).document())))
    assert (file.kind, file.label) == (NETWORK, "file policy.safetensors")
    assert file.checked_paths() == (path,)
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(CheckpointError, match="has changed"):
        file.checked_paths()
    path.unlink()
    with pytest.raises(CheckpointError, match="gone"):
        file.checked_paths()


def test_a_folder_of_deployed_files_covers_its_robots_and_no_others(tmp_path: Path) -> None:
    for digest in ("a" * 64, "b" * 64):
        deployed_file(tmp_path / f"{digest[0]}.npz", digest)
    file = find_policy_file(tmp_path, "flat", ["a" * 64, "b" * 64])
    assert file.kind == DEPLOYED
    assert len(file.checked_paths()) == 2
    assert find_policy_file(tmp_path / "a.npz", "flat", ["a" * 64]).kind == DEPLOYED
    with pytest.raises(UsageError, match="no file"):
        find_policy_file(tmp_path / "a.npz", "flat", ["a" * 64, "c" * 64])


def test_files_of_one_name_keep_labels_of_their_own(tmp_path: Path) -> None:
    paths = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths.append(network_file(tmp_path / name / "policy.safetensors"))
    labels = [file.label for file in find_policy_files(paths, "flat", ())]
    assert labels == ["file policy.safetensors", "file policy.safetensors (2)"]


def test_what_is_no_policy_is_wrong_use(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("nothing")
    plain = tmp_path / "plain.safetensors"
    save_file({"weight": np.zeros(1, np.float32)}, plain)
    pickled = deployed_file(tmp_path / "pickled.npz", "a" * 64)
    np.savez(pickled, input_weight=np.array([{}], dtype=object))
    terrain = network_file(tmp_path / "terrain.safetensors", "variable")
    (tmp_path / "empty").mkdir()
    (tmp_path / "policy.onnx").write_bytes(b"")
    for path, words in (
        (text, "holds no policy"),
        (plain, "holds no policy"),
        (pickled, "no deployed policy"),
        (terrain, "cannot act on flat"),
        (tmp_path / "empty", "no deployed"),
        (tmp_path / "policy.onnx", "ONNX"),
        (tmp_path / "absent.safetensors", "no such file"),
    ):
        with pytest.raises(UsageError, match=words):
            find_policy_file(path, "flat", ["a" * 64])
