"""Collection: what is stored, that a killed one resumes with the same bytes, what it refuses."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folders import read_files
from listening import Listener
from teachers import save_teacher

from engine.config.base import TaskConfig
from engine.config.distillation import CollectionConfig
from engine.distillation.collection import collect_expert_data
from engine.distillation.dataset import load_dataset, pooled_moments
from engine.distillation.manifest import (
    MANIFEST_NAME,
    EpisodeStatistics,
    load_manifest,
    metadata_path,
    robot_path,
)
from engine.distillation.rollout_recorder import BatchJob, RecordingPlan, _Recording, record_batch
from engine.environments import EpisodeBatch, VectorEnvironment
from engine.errors import DatasetError, StopRequestedError
from engine.events import Metrics, StageContext
from engine.files import remove_partial_files
from engine.morphology.generation import generate
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
    remove_partial_files(tmp_path / "killed")  # as a worker does before it goes on
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


def test_a_repair_that_was_stopped_is_not_taken_for_the_whole(
    tmp_path: Path, teacher_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    config = collection.model_copy(update={"robots_per_batch": 1})
    folder = collect_expert_data(config, teacher_path, robots, _silent(tmp_path))
    before = read_files(folder)
    for shard in load_manifest(folder).shards[:3]:
        (folder / shard.path).write_bytes((folder / shard.path).read_bytes()[:-10])
    listener = Listener(stop_after=20)
    with pytest.raises(StopRequestedError):
        collect_expert_data(config, teacher_path, robots, listener.context(tmp_path))
    repaired = load_manifest(folder)
    assert (len(repaired.shards), repaired.complete) == (2, False)
    with pytest.raises(DatasetError, match="not finished"):
        load_dataset(folder)
    collect_expert_data(config, teacher_path, robots, _silent(tmp_path))
    assert read_files(folder) == before


def test_a_repair_that_ends_with_other_bytes_is_refused(
    tmp_path: Path, teacher_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    collect_expert_data(collection, teacher_path, robots[:1], _silent(tmp_path))
    with pytest.raises(DatasetError, match="remove the manifest and resume"):
        collect_expert_data(collection, teacher_path, robots[:1], _silent(tmp_path), "0" * 64)


@pytest.mark.parametrize("path_of", [robot_path, metadata_path])
@pytest.mark.parametrize("kept", [None, 0.5])
def test_a_robot_whose_own_files_are_damaged_is_collected_again(
    tmp_path: Path,
    teacher_path: Path,
    robots: list[Morphology],
    collection: CollectionConfig,
    path_of: Callable[[str], str],
    kept: float | None,
) -> None:
    folder = collect_expert_data(collection, teacher_path, robots[:2], _silent(tmp_path))
    before = read_files(folder)
    victim = folder / path_of(robots[0].name)
    if kept is None:
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[: int(kept * victim.stat().st_size)])
    collect_expert_data(collection, teacher_path, robots[:2], _silent(tmp_path))
    assert read_files(folder) == before


@pytest.mark.parametrize("finished", [False, True])
def test_another_set_of_robots_is_not_continued(
    tmp_path: Path,
    teacher_path: Path,
    robots: list[Morphology],
    collection: CollectionConfig,
    finished: bool,
) -> None:
    if finished:
        folder = collect_expert_data(collection, teacher_path, robots[:3], _silent(tmp_path))
    else:
        folder = tmp_path / "expert-data"
        context = Listener(stop_after=20).context(tmp_path)
        with pytest.raises(StopRequestedError):
            collect_expert_data(collection, teacher_path, robots[:3], context)
    before = read_files(folder)
    stranger = replace(generate(9, seed=77)[3], name=robots[2].name)
    first, second, third, fourth = (robot.name for robot in robots)
    for others, said in (
        ([*robots[:2], stranger], f"{third} with another body"),
        (robots[:2], f"{third} gone"),
        (robots, f"{fourth} added"),
        (robots[1:], f"{fourth} added, {first} gone"),
        (robots[3:], f"{fourth} added, {' '.join(sorted((first, second, third)))} gone"),
    ):
        with pytest.raises(DatasetError, match="start a new collection") as caught:
            collect_expert_data(collection, teacher_path, others, _silent(tmp_path))
        assert said in str(caught.value)
    assert read_files(folder) == before


def test_the_order_of_a_set_does_not_matter(
    tmp_path: Path,
    teacher_path: Path,
    robots: list[Morphology],
    collection: CollectionConfig,
    expert_folder: Path,
) -> None:
    folder = collect_expert_data(collection, teacher_path, robots[::-1], _silent(tmp_path))
    assert read_files(folder) == read_files(expert_folder)


def test_robots_of_one_name_or_one_body_are_refused(
    tmp_path: Path, teacher_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    first, second = robots[:2]
    for others, said in (
        ([first, replace(second, name=first.name)], "two robots are named"),
        ([first, replace(first, name="twin")], f"{first.name} and twin are one body"),
    ):
        with pytest.raises(DatasetError, match=said):
            collect_expert_data(collection, teacher_path, others, _silent(tmp_path))


def test_a_resumed_collection_reports_the_robots_it_kept(
    tmp_path: Path, teacher_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    whole, resumed = Listener(), Listener()
    collect_expert_data(collection, teacher_path, robots, whole.context(tmp_path))
    collect_expert_data(collection, teacher_path, robots, resumed.context(tmp_path))
    assert len(whole.points("teacher_return")) == 2
    assert resumed.points("teacher_return") == whole.points("teacher_return")
    assert _returns(resumed) == _returns(whole)


def _returns(listener: Listener) -> dict[str, float]:
    """The teacher's return by robot."""
    metrics = [event for event in listener.events if isinstance(event, Metrics)]
    return {
        digest: values["episode_return"]
        for event in metrics
        for digest, values in event.robots.items()
    }


def test_heights_of_the_ground_are_stored_beside_what_the_teacher_did_there(
    tmp_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    task = TaskConfig(name="variable", episode_steps=100)
    update = {"task": task, "samples_per_robot": 400, "robots_per_batch": 1}
    config = collection.model_copy(update=update)
    teacher = save_teacher(tmp_path / "teacher", task="variable", terrain_points=1410, scale=3.0)
    folder = collect_expert_data(config, teacher, robots[2:3], _silent(tmp_path))
    seen = 0.0
    for data in load_dataset(folder).robots:
        arrays = data.arrays
        assert arrays.terrain is not None
        assert (arrays.terrain.dtype, arrays.terrain.shape) == (np.float16, (400, 1410))
        environment = VectorEnvironment([data.robot], task, 4, config.seed)
        environment.reset()
        actor = CheckpointActors(teacher).actor([data.robot], 4, 0)
        for start in range(0, arrays.samples, 4):
            observation, action, means, heights = (
                np.array(array[start : start + 4]) for array in arrays.tensors().values()
            )
            assert environment.terrain is not None
            np.testing.assert_array_equal(heights, environment.terrain.astype(np.float16))
            np.testing.assert_array_equal(
                observation.reshape(-1, observation.shape[-1]), environment.observation
            )
            expected = actor.means(environment.observation, environment.terrain)
            np.testing.assert_allclose(means.reshape(expected.shape), expected, atol=1e-5)
            environment.step(action.reshape(expected.shape))
            seen = max(seen, float(np.abs(heights).max()))
    assert seen > 0.0


def test_a_teacher_that_corrects_a_student_with_no_numbers_is_refused(
    tmp_path: Path,
    teacher_path: Path,
    robots: list[Morphology],
    collection: CollectionConfig,
    expert_folder: Path,
) -> None:
    """What the student does keeps the simulation going."""
    diverged = save_teacher(tmp_path / "diverged", scale=1e30)
    source = load_manifest(expert_folder).source
    plan = RecordingPlan(collection, diverged, tmp_path, source, teacher_path)
    with pytest.raises(DatasetError, match=f"{robots[0].name}: action became a number that is not"):
        record_batch(BatchJob((robots[0],), plan), lambda: False)


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


def test_robots_that_fall_too_often_are_left_out(
    tmp_path: Path, teacher_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    config = collection.model_copy(
        update={"samples_per_robot": 400, "task": TaskConfig(episode_steps=100)}
    )
    whole = collect_expert_data(config, teacher_path, robots, _silent(tmp_path / "whole"))
    falls = {s.name: s.statistics.fall_fraction for s in load_manifest(whole).shards}
    limit = sorted(falls.values())[1]
    assert limit < max(falls.values())
    config = config.model_copy(update={"maximum_fall_fraction": limit})
    folder = collect_expert_data(config, teacher_path, robots, _silent(tmp_path / "filtered"))
    manifest = load_manifest(folder)
    assert manifest.source.maximum_fall_fraction == limit
    dropped = {robot.name: robot.statistics.fall_fraction for robot in manifest.dropped}
    assert dropped == {name: value for name, value in falls.items() if value > limit}
    assert len(load_dataset(folder).robots) == len(robots) - len(dropped)


def test_where_filters_leave_out_every_robot_they_are_named(
    tmp_path: Path, teacher_path: Path, robots: list[Morphology], collection: CollectionConfig
) -> None:
    for number, (update, said) in enumerate(
        (
            ({"minimum_return": 1e6}, "minimum_return=1e+06 leaves"),
            (
                {"minimum_return": 1e6, "maximum_fall_fraction": 0.25},
                "minimum_return=1e+06 with maximum_fall_fraction=0.25 leaves out all 2 robots",
            ),
        )
    ):
        config = collection.model_copy(update=update)
        with pytest.raises(DatasetError, match="looser filter") as caught:
            collect_expert_data(config, teacher_path, robots[:2], _silent(tmp_path / str(number)))
        assert said in str(caught.value)


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
