"""Students: learning, repeating by seed, resuming bit for bit, stopping early, keeping the best."""

import math
from pathlib import Path

import pytest
import torch
from listening import Listener, same_student, stopped, weights

from engine.checkpoints import load_checkpoint, save_checkpoint, select
from engine.config.distillation import StudentConfig
from engine.config.network import named_network
from engine.distillation.objective import learning_rate
from engine.distillation.training import train_student
from engine.errors import CheckpointError, DatasetError, DivergenceError
from engine.rollout.saved_policy import load_policy


def test_training_lowers_both_held_out_losses(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    config = student_config.model_copy(update={"epochs": 15, "learning_rate": 1e-2})
    listener = Listener()
    train_student(config, expert_folder, listener.context(tmp_path))
    for name in ("loss", "held_out_sample_loss"):
        curve = listener.curve(name)
        assert curve[-1] < 0.6 * curve[0]
    robots = listener.curve("held_out_robot_loss")
    assert min(robots) < robots[0]


def test_the_same_seed_gives_the_same_student(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    paths = [
        train_student(student_config, expert_folder, Listener().context(tmp_path / name))
        for name in ("a", "b")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    other = student_config.model_copy(update={"seed": 2})
    path = train_student(other, expert_folder, Listener().context(tmp_path / "c"))
    assert not same_student(paths[0], path)


@pytest.mark.parametrize("stop_after", [3, 9])
def test_a_stopped_run_resumes_bit_for_bit(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig, stop_after: int
) -> None:
    calm, later = Listener(), Listener()
    whole = train_student(student_config, expert_folder, calm.context(tmp_path / "whole"))
    written = stopped(stop_after, student_config, expert_folder, tmp_path / "part")
    assert written.step == stop_after
    context = later.context(tmp_path / "part", attempt=2, resume=written.path)
    resumed = train_student(student_config, expert_folder, context)
    assert same_student(whole, resumed)
    # A point of the curve is a mean over steps, of which some were before the stop.
    told = later.curve("loss")
    assert told == calm.curve("loss")[-len(told) :]


@pytest.mark.parametrize("stop_after", [3, 9])
def test_a_students_checkpoint_is_a_policy_with_the_best_weights_so_far(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig, stop_after: int
) -> None:
    written = stopped(stop_after, student_config, expert_folder, tmp_path)
    policy, description = load_policy(written.path)
    tensors, _ = load_checkpoint(written.path)
    best = select(tensors, "best") or select(tensors, "controller")
    assert bool(select(tensors, "best")) == (stop_after > 3)
    for name, weight in policy.state_dict().items():
        torch.testing.assert_close(weight, best[name], rtol=0, atol=0)
    assert description.network == student_config.network


def test_two_threads_learn_what_one_does_and_repeat_bit_for_bit(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    network = student_config.network.model_copy(update={"dropout": 0.0})
    one = student_config.model_copy(update={"network": network, "epochs": 2})
    two = one.model_copy(update={"threads": 2})
    paths = [
        train_student(config, expert_folder, Listener().context(tmp_path / str(place)))
        for place, config in enumerate((one, two, two))
    ]
    assert same_student(paths[1], paths[2])
    single, double = weights(paths[0]), weights(paths[1])
    for name, weight in single.items():
        torch.testing.assert_close(double[name], weight, rtol=1e-2, atol=1e-4)


def test_a_checkpoint_of_other_settings_is_refused(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    written = stopped(2, student_config, expert_folder, tmp_path)
    other = student_config.model_copy(update={"learning_rate": 0.5})
    with pytest.raises(CheckpointError, match="learning_rate"):
        train_student(other, expert_folder, Listener().context(tmp_path, 2, written.path))


def test_a_student_that_diverges_is_neither_kept_nor_written(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    written = stopped(2, student_config, expert_folder, tmp_path)
    tensors, document = load_checkpoint(written.path)
    name = next(name for name in tensors if name.endswith("output_bias.bias"))
    tensors[name][:] = torch.nan
    poisoned = tmp_path / "poisoned.safetensors"
    save_checkpoint(poisoned, tensors, document)
    listener = Listener()
    with pytest.raises(DivergenceError, match="gradient is nan after gradient step 2"):
        train_student(student_config, expert_folder, listener.context(tmp_path, 2, poisoned))
    assert not list(tmp_path.glob("student-*"))
    assert math.isnan(listener.points("gradient_norm")[2])


def test_training_without_progress_stops_early_and_keeps_the_best(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    config = student_config.model_copy(
        update={"epochs": 500, "patience_epochs": 2, "learning_rate": 0.3}
    )
    listener = Listener()
    train_student(config, expert_folder, listener.context(tmp_path))
    curve = listener.curve("held_out_loss")
    assert len(curve) < 500
    assert min(curve) == curve[-3]


@pytest.mark.parametrize("kind", ["transformer", "multi_mlp"])
def test_other_architectures_learn_from_the_same_data(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig, kind: str
) -> None:
    network = named_network(kind, "small")  # type: ignore[arg-type]
    config = student_config.model_copy(update={"network": network, "epochs": 8})
    listener = Listener()
    path = train_student(config, expert_folder, listener.context(tmp_path))
    assert listener.curve("loss")[-1] < listener.curve("loss")[0]
    assert load_policy(path)[1].network.kind == kind


def test_holding_out_every_robot_is_refused(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    config = student_config.model_copy(update={"validation_robots": 4})
    with pytest.raises(DatasetError, match="validation_robots"):
        train_student(config, expert_folder, Listener().context(tmp_path))


def test_patience_needs_a_sample_to_judge_by(
    tmp_path: Path, expert_folder: Path, student_config: StudentConfig
) -> None:
    few = {"validation_robots": 0, "max_samples_per_robot": 9, "patience_epochs": 2}
    config = student_config.model_copy(update=few)
    with pytest.raises(DatasetError, match="patience_epochs needs it; raise validation_fraction"):
        train_student(config, expert_folder, Listener().context(tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_learning_rate_rises_then_falls_to_zero(student_config: StudentConfig) -> None:
    config = student_config.model_copy(update={"warmup_fraction": 0.1, "learning_rate": 1.0})
    rates = [learning_rate(config, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5)
    assert rates[-1] < 0.001
