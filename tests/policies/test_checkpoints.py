"""A checkpoint is complete or absent, says what it holds, and never runs code."""

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from robot_batches import random_batch, random_observation
from safetensors.torch import save_file

from engine.checkpoints import (
    load_checkpoint,
    prefixed,
    save_checkpoint,
)
from engine.config.network import NetworkConfig, NetworkKind
from engine.errors import CheckpointError
from engine.policies.build import build_policy
from engine.rollout.saved_policy import DOCUMENT_KEY, PolicyDescription, load_policy

TENSORS = {"a": torch.arange(3.0), "flags": torch.tensor([True, False])}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.safetensors"
    sha256 = save_checkpoint(path, TENSORS, {"step": 3})
    tensors, document = load_checkpoint(path)
    assert document == {"step": 3}
    assert torch.equal(tensors["a"], TENSORS["a"])
    assert torch.equal(tensors["flags"], TENSORS["flags"])
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [entry.name for entry in path.parent.iterdir()] == ["one.safetensors"]


def test_views_of_one_vector_are_saved_as_tensors_of_their_own(tmp_path: Path) -> None:
    vector = torch.arange(4.0)
    save_checkpoint(tmp_path / "views", {"left": vector[:2], "right": vector[2:]}, {})
    assert load_checkpoint(tmp_path / "views")[0]["right"].tolist() == [2.0, 3.0]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_checkpoint(path, TENSORS, {"step": 1})
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(path, TENSORS, {"step": float("nan")})
    assert load_checkpoint(path)[1] == {"step": 1}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "content", [b"", b"\x08\x00\x00\x00\x00\x00\x00\x00notjson!", pickle.dumps(1)]
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged\.safetensors"):
        load_checkpoint(path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    save_checkpoint(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="complete"):
        load_checkpoint(path)


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    save_file({"a": torch.zeros(1)}, tmp_path / "list", metadata={"hdtui": json.dumps([1])})
    for name in ("foreign", "list", "missing"):
        with pytest.raises(CheckpointError, match=name):
            load_checkpoint(tmp_path / name)


@pytest.mark.parametrize(
    "kind", ["transformer", "modumorph", "hypernetwork", "multi_mlp", "single_mlp"]
)
def test_a_loaded_policy_acts_as_the_saved_one(tmp_path: Path, kind: NetworkKind) -> None:
    batch = random_batch((4, 6))
    packing = batch.packing(2)
    observation = random_observation(packing).float()
    batch = random_batch((4, 6), dtype=torch.float32)
    config = NetworkConfig(kind=kind, width=16, hidden_width=16, layers=1)
    policy = build_policy(config, "flat", 0, batch.digests, seed=9)
    policy.moments.merge(policy.deviations(observation, packing, batch))
    description = PolicyDescription(
        network=config, task="flat", terrain_points=0, digests=batch.digests, action_std=0.5
    )
    document = {DOCUMENT_KEY: description.model_dump(mode="json")}
    save_checkpoint(tmp_path / "p", prefixed("controller", dict(policy.state_dict())), document)
    loaded, stored = load_policy(tmp_path / "p")
    assert stored.action_std == 0.5
    expected = policy.mean(policy.encode(batch), observation, packing, None)
    actual = loaded.mean(loaded.encode(batch), observation, packing, None)
    assert torch.equal(expected, actual)


def test_a_checkpoint_without_a_policy_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "other", TENSORS, {"kind": "student"})
    with pytest.raises(CheckpointError, match="holds no policy"):
        load_policy(tmp_path / "other")
