"""Correction: the student's states with the teacher's actions, resumed to the same student."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from folders import read_files
from hypothesis import given
from hypothesis import strategies as st
from listening import Listener, same_student
from pydantic import ValidationError
from teachers import save_teacher

from engine.config.distillation import StudentConfig
from engine.distillation.dataset import load_dataset, split_dataset
from engine.distillation.manifest import load_manifest
from engine.distillation.minibatches import Choice, MinibatchReader
from engine.distillation.schedule import Schedule
from engine.distillation.training import train_student
from engine.errors import CheckpointError, DatasetError, StopRequestedError
from engine.events import Note
from engine.files import file_sha256
from engine.rollout.actors import CheckpointActors


@pytest.fixture(scope="session")
def config(student_config: StudentConfig) -> StudentConfig:
    return student_config.model_copy(
        update={"correction_rounds": 2, "correction_samples_per_robot": 30, "epochs": 5}
    )


@pytest.fixture(scope="session")
def corrected(
    tmp_path_factory: pytest.TempPathFactory,
    expert_folder: Path,
    teacher_path: Path,
    config: StudentConfig,
) -> tuple[Path, Path, Listener]:
    """A run with two rounds: its folder, its student, what it reported."""
    folder, listener = tmp_path_factory.mktemp("corrected"), Listener()
    path = train_student(config, expert_folder, listener.context(folder), teacher_path)
    return folder, path, listener


@given(
    epochs=st.integers(1, 40),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8),
)
def test_every_round_gets_epochs_and_steps_add_up(epochs: int, lengths: list[int]) -> None:
    lengths = lengths[:epochs]
    schedule = Schedule(epochs, tuple(lengths))
    rounds = [schedule.round_of(epoch) for epoch in range(epochs)]
    assert rounds == sorted(rounds)
    counts = [rounds.count(number) for number in range(len(lengths))]
    assert min(counts) >= 1
    assert max(counts) - min(counts) <= 1
    total = sum(count * length for count, length in zip(counts, lengths, strict=True))
    assert schedule.total_steps == total


def test_a_round_holds_the_students_states_and_the_teachers_actions(
    corrected: tuple[Path, Path, Listener], teacher_path: Path, expert_folder: Path
) -> None:
    folder, _, _ = corrected
    for number in (1, 2):
        own = folder / f"correction-{number}"
        dataset = load_dataset(own)
        source = dataset.manifest.source
        assert source.teacher_sha256 == file_sha256(teacher_path)
        assert source.student_sha256 == file_sha256(own / "student.safetensors")
        assert load_manifest(expert_folder).source.student_sha256 is None
        assert len(dataset.robots) == 3  # of four, one is held out
        for data in dataset.robots:
            arrays = data.arrays
            assert arrays.samples == 30
            actor = CheckpointActors(teacher_path).actor([data.robot], arrays.samples, 0)
            rows = np.array(arrays.observation.reshape(-1, arrays.observation.shape[-1]))
            means = actor.means(rows, None).reshape(arrays.action_mean.shape)
            np.testing.assert_allclose(arrays.action_mean, means, atol=1e-4)
            assert not np.array_equal(arrays.action_mean, arrays.action)


def test_the_student_of_a_round_is_the_one_that_acted_in_it(
    corrected: tuple[Path, Path, Listener],
) -> None:
    folder, path, _ = corrected
    students = [folder / f"correction-{number}" / "student.safetensors" for number in (1, 2)]
    assert not same_student(*students)
    assert not same_student(students[1], path)


def test_metrics_and_notes_say_which_round(corrected: tuple[Path, Path, Listener]) -> None:
    _, _, listener = corrected
    rounds = listener.points("correction_round")
    assert list(rounds.values()) == sorted(rounds.values())
    assert set(rounds.values()) == {0, 1, 2}
    assert len(listener.points("correction_return")) == 2
    texts = [event.text for event in listener.events if isinstance(event, Note)]
    notes = [text for text in texts if "correction" in text]
    assert [note[:17] for note in notes] == ["correction 1 of 2", "correction 2 of 2"]


def test_corrected_samples_join_training_and_held_out_ones(
    corrected: tuple[Path, Path, Listener], expert_folder: Path, config: StudentConfig
) -> None:
    folder, _, _ = corrected
    base = load_dataset(expert_folder)
    rounds = [load_dataset(folder / f"correction-{number}") for number in (1, 2)]
    before, after = split_dataset(base, config), split_dataset(base, config, rounds)
    for subset, count in ((before, 54), (after, 54 + 2 * 27)):
        assert {len(samples) for samples in subset.training.samples} == {count}
    old = before.held_out_samples.samples[0]
    np.testing.assert_array_equal(after.held_out_samples.samples[0][:6], old)
    assert len(after.held_out_samples.samples[0]) == 6 + 2 * 3
    data = after.training.robots[1]
    reader = MinibatchReader(after.training.robots, torch.device("cpu"))
    minibatch = reader.read(Choice((1,), np.array([[119, 3, 60, 90]])))
    shards = {
        number: next(d.arrays for d in each.robots if d.robot.digest == data.robot.digest)
        for number, each in enumerate((base, *rounds))
    }
    expected = [shards[2], shards[0], shards[1], shards[2]]
    for place, (arrays, index) in enumerate(zip(expected, (29, 3, 0, 0), strict=True)):
        found = minibatch.observation.view(4, data.robot.num_limbs, -1)[place].numpy()
        np.testing.assert_array_equal(found, arrays.observation[index])


@pytest.mark.parametrize("stop_after", [9, 22, 70])
def test_a_stopped_run_resumes_to_the_same_student_and_the_same_rounds(
    tmp_path: Path,
    expert_folder: Path,
    teacher_path: Path,
    config: StudentConfig,
    corrected: tuple[Path, Path, Listener],
    stop_after: int,
) -> None:
    """Stopped before, in and after a round."""
    folder, whole, _ = corrected
    listener = Listener(stop_after)
    with pytest.raises(StopRequestedError):
        train_student(config, expert_folder, listener.context(tmp_path), teacher_path)
    context = Listener().context(tmp_path, 2, listener.last_checkpoint())
    resumed = train_student(config, expert_folder, context, teacher_path)
    assert same_student(whole, resumed)
    for number in (1, 2):
        name = f"correction-{number}"
        assert read_files(tmp_path / name) == read_files(folder / name)


def test_a_round_of_an_attempt_that_was_given_up_is_recorded_anew(
    tmp_path: Path,
    expert_folder: Path,
    teacher_path: Path,
    config: StudentConfig,
    corrected: tuple[Path, Path, Listener],
) -> None:
    folder, whole, _ = corrected
    shutil.copytree(folder / "correction-2", tmp_path / "correction-1")
    path = train_student(config, expert_folder, Listener().context(tmp_path), teacher_path)
    assert same_student(whole, path)


def test_a_resumed_run_misses_a_round_that_was_deleted(
    tmp_path: Path, expert_folder: Path, teacher_path: Path, config: StudentConfig
) -> None:
    listener = Listener(70)
    with pytest.raises(StopRequestedError):
        train_student(config, expert_folder, listener.context(tmp_path), teacher_path)
    shutil.rmtree(tmp_path / "correction-1")
    context = Listener().context(tmp_path, 2, listener.last_checkpoint())
    with pytest.raises(CheckpointError, match="round of correction"):
        train_student(config, expert_folder, context, teacher_path)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("repairs_stopped", [0, 1])
def test_a_damaged_round_is_recorded_again_with_the_same_bytes(
    tmp_path: Path,
    expert_folder: Path,
    teacher_path: Path,
    config: StudentConfig,
    corrected: tuple[Path, Path, Listener],
    repairs_stopped: int,
) -> None:
    """Also where the repair is stopped on its way."""
    folder, whole, _ = corrected
    listener = Listener(70)
    with pytest.raises(StopRequestedError):
        train_student(config, expert_folder, listener.context(tmp_path), teacher_path)
    round_folder = tmp_path / "correction-1"
    first, *_, last = load_manifest(round_folder).shards
    _cut(round_folder / first.path)
    (round_folder / last.robot_path).unlink()
    checkpoint = listener.last_checkpoint()
    for _ in range(repairs_stopped):
        context = Listener(2).context(tmp_path, 2, checkpoint)
        with pytest.raises(StopRequestedError):
            train_student(config, expert_folder, context, teacher_path)
        assert not load_manifest(round_folder).complete
    context = Listener().context(tmp_path, 3, checkpoint)
    assert same_student(whole, train_student(config, expert_folder, context, teacher_path))
    assert read_files(round_folder) == read_files(folder / "correction-1")


def test_a_round_whose_manifest_cannot_be_read_is_recorded_anew(
    tmp_path: Path,
    expert_folder: Path,
    teacher_path: Path,
    config: StudentConfig,
    corrected: tuple[Path, Path, Listener],
) -> None:
    """No checkpoint was trained on it yet."""
    folder, whole, _ = corrected
    shutil.copytree(folder / "correction-1", tmp_path / "correction-1")
    _cut(tmp_path / "correction-1" / "manifest.json")
    path = train_student(config, expert_folder, Listener().context(tmp_path), teacher_path)
    assert same_student(whole, path)


def test_a_round_of_other_robots_is_recorded_anew(
    tmp_path: Path,
    expert_folder: Path,
    teacher_path: Path,
    config: StudentConfig,
    corrected: tuple[Path, Path, Listener],
) -> None:
    folder, whole, _ = corrected
    shutil.copytree(folder / "correction-1", tmp_path / "correction-1")
    path = tmp_path / "correction-1" / "manifest.json"
    document = json.loads(path.read_text())
    gone = document["shards"].pop()["name"]
    del document["source"]["robots"][gone]
    path.write_text(json.dumps(document))
    path = train_student(config, expert_folder, Listener().context(tmp_path), teacher_path)
    assert same_student(whole, path)
    assert gone in load_manifest(tmp_path / "correction-1").source.robots


def test_a_missing_or_foreign_teacher_is_refused(
    tmp_path: Path, expert_folder: Path, config: StudentConfig
) -> None:
    context = Listener().context(tmp_path)
    for missing in (None, tmp_path / "gone.safetensors"):
        with pytest.raises(DatasetError, match="correction_rounds=0"):
            train_student(config, expert_folder, context, missing)
    other = save_teacher(tmp_path / "other.safetensors", seed=2)
    with pytest.raises(DatasetError, match="two teachers"):
        train_student(config, expert_folder, context, other)


def test_more_rounds_than_epochs_are_refused() -> None:
    with pytest.raises(ValidationError, match="fewer rounds"):
        StudentConfig(epochs=2, correction_rounds=2)
