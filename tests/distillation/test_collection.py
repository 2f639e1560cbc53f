"""Collection: what is stored, that a killed one resumes with the same bytes, what it refuses."""

import multiprocessing
import time
from pathlib import Path

import numpy as np
import pytest
from folders import read_files

from engine.config.distillation import CollectionConfig
from engine.distillation.collection import collect_expert_data
from engine.distillation.dataset import load_dataset, pooled_moments
from engine.distillation.manifest import MANIFEST_NAME, EpisodeStatistics, load_manifest
from engine.distillation.recording import _Recording
from engine.environments import EpisodeBatch
from engine.errors import DatasetError, StopRequestedError
from engine.events import StageContext
from engine.morphology.packing import Packing
from engine.morphology.tree import Morphology
from engine.rollout.actors import CheckpointActors


def _silent(folder: Path) -> StageContext:
    return StageContext(folder, 1, lambda event: None, lambda: False)


def _collect(
    config: CollectionConfig, teacher: Path, robots: list[Morphology], folder: Path
) -> None:
    collect_expert_data(config, teacher, robots, _silent(folder))


def test_stored_means_are_the_teachers_and_sampled_actions_spread_about_them(
    expert_folder: Path, teacher_path: Path
) -> None:
    for data in load_dataset(expert_folder).robots:
        arrays = data.arrays
        actor = CheckpointActors(teacher_path).actor([data.robot], arrays.samples, 0)
        rows = np.array(arrays.observation.reshape(-1, arrays.observation.shape[-1]))
        means = actor.means(rows, None).reshape(arrays.action_mean.shape)
        np.testing.assert_allclose(arrays.action_mean, means, atol=1e-4)
        noise = (arrays.action - arrays.action_mean)[:, data.robot.joint_mask]
        assert noise.std() == pytest.approx(0.5, rel=0.15)
        assert not arrays.action[:, ~data.robot.joint_mask].any()


def test_deterministic_collection_stores_the_means_as_actions(
    tmp_path: Path, teacher_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    config = collection.model_copy(update={"stochastic": False, "samples_per_robot": 8})
    folder = collect_expert_data(config, teacher_path, robots[:1], _silent(tmp_path))
    (data,) = load_dataset(folder).robots
    np.testing.assert_array_equal(data.arrays.action, data.arrays.action_mean)


def test_a_stopped_collection_resumes_and_ends_with_the_same_bytes(
    tmp_path: Path,
    teacher_path: Path,
    robots: list[Morphology],
    collection: CollectionConfig,
    expert_folder: Path,
) -> None:
    polls = iter(range(10_000))
    context = StageContext(tmp_path, 1, lambda event: None, lambda: next(polls) > 20)
    with pytest.raises(StopRequestedError):
        collect_expert_data(collection, teacher_path, robots, context)
    partial = load_manifest(tmp_path / "expert-data")
    assert 0 < len(partial.shards) < len(robots)
    assert not partial.complete
    with pytest.raises(DatasetError, match="not finished"):
        load_dataset(tmp_path / "expert-data")
    folder = collect_expert_data(collection, teacher_path, robots, _silent(tmp_path))
    assert read_files(folder) == read_files(expert_folder)


@pytest.mark.slow
def test_a_killed_collection_resumes_robot_by_robot_and_ends_with_the_same_bytes(
    tmp_path: Path, teacher_path: Path, robots: list[Morphology]
) -> None:
    config = CollectionConfig(samples_per_robot=8000, simulations_per_robot=16, processes=1)
    assert config.robots_per_batch == 1
    killed = tmp_path / "killed" / "expert-data"
    process = multiprocessing.get_context("spawn").Process(
        target=_collect, args=(config, teacher_path, robots, tmp_path / "killed")
    )
    process.start()
    while not (killed / MANIFEST_NAME).is_file() or not load_manifest(killed).shards:
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    done = {killed / shard.path for shard in load_manifest(killed).shards}
    assert 0 < len(done) < len(robots)
    written = {path: path.stat().st_mtime_ns for path in done}
    collect_expert_data(config, teacher_path, robots, _silent(tmp_path / "killed"))
    assert {path: path.stat().st_mtime_ns for path in done} == written
    whole = collect_expert_data(config, teacher_path, robots, _silent(tmp_path / "whole"))
    assert read_files(killed) == read_files(whole)


def test_a_damaged_shard_is_collected_again_with_the_same_bytes(
    tmp_path: Path,
    teacher_path: Path,
    robots: list[Morphology],
    collection: CollectionConfig,
) -> None:
    folder = collect_expert_data(collection, teacher_path, robots[:2], _silent(tmp_path))
    before = read_files(folder)
    victim = folder / load_manifest(folder).shards[0].path
    victim.write_bytes(victim.read_bytes()[:-100])
    collect_expert_data(collection, teacher_path, robots[:2], _silent(tmp_path))
    assert read_files(folder) == before


@pytest.mark.slow
def test_two_processes_store_the_same_bytes_as_one(
    tmp_path: Path,
    teacher_path: Path,
    robots: list[Morphology],
    collection: CollectionConfig,
    expert_folder: Path,
) -> None:
    config = collection.model_copy(update={"processes": 2})
    folder = collect_expert_data(config, teacher_path, robots, _silent(tmp_path))
    assert read_files(folder) == read_files(expert_folder)


def test_robots_on_which_the_teacher_fails_are_left_out_and_recorded(
    tmp_path: Path, teacher_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    whole = collect_expert_data(collection, teacher_path, robots, _silent(tmp_path / "whole"))
    returns = {s.name: s.statistics.mean_return for s in load_manifest(whole).shards}
    threshold = float(np.median(list(returns.values())))
    config = collection.model_copy(update={"minimum_return": threshold})
    folder = collect_expert_data(config, teacher_path, robots, _silent(tmp_path / "filtered"))
    manifest = load_manifest(folder)
    dropped = {robot.name for robot in manifest.dropped}
    assert dropped == {name for name, value in returns.items() if value < threshold}
    assert {shard.name for shard in manifest.shards} == set(returns) - dropped


def test_a_folder_of_another_seed_is_not_continued(
    tmp_path: Path, teacher_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    collect_expert_data(collection, teacher_path, robots[:1], _silent(tmp_path))
    other = collection.model_copy(update={"seed": 2})
    with pytest.raises(DatasetError, match="other seed"):
        collect_expert_data(other, teacher_path, robots[:1], _silent(tmp_path))


def test_pooled_moments_are_those_of_all_rows(expert_folder: Path) -> None:
    dataset = load_dataset(expert_folder)
    rows = np.concatenate([d.arrays.observation.reshape(-1, 17) for d in dataset.robots])
    mean, variance, count = pooled_moments(dataset.robots)
    np.testing.assert_allclose(mean, rows.mean(axis=0, dtype=np.float64), atol=1e-9)
    np.testing.assert_allclose(variance, rows.var(axis=0, dtype=np.float64), rtol=1e-6, atol=1e-9)
    assert count == len(rows)


def test_a_robot_is_judged_by_the_first_episode_of_each_simulation() -> None:
    packing = Packing((3,), 2)
    samples = np.zeros((6, packing.num_rows, 1), np.float32)
    nothing = np.zeros(2)
    episodes = EpisodeBatch(
        robot=np.array([0, 0]),
        simulation=np.array([1, 1]),
        episode=np.array([0, 1]),
        episode_return=np.array([1.0, 9.0]),
        length=np.array([2, 3]),
        terminated=np.array([True, True]),
        distance_m=nothing,
        mean_speed_m_s=nothing,
        energy=nothing,
        exploded=np.array([False, False]),
    )
    recording = _Recording(packing, samples, samples, samples, None, np.array([2.0, 5.0]), episodes)
    assert recording.statistics(0) == EpisodeStatistics(
        episodes=2, mean_return=1.5, mean_length=4.0, fall_fraction=0.5
    )
