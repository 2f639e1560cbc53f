"""A teacher that was trained elsewhere becomes a run that later stages read."""

import math
import re
from pathlib import Path

import pytest
from waiting import generation, until_state

from db.queries.artifacts import list_artifacts
from db.records import NewRun, RunKind, RunState
from db.session import Database
from engine.checkpoints import load_checkpoint, save_checkpoint
from engine.config.teacher import TeacherConfig
from engine.errors import CheckpointError, UsageError
from engine.files import file_sha256
from engine.rollout.saved_policy import load_policy
from engine.workers.commands import queue
from engine.workers.policy_files import find_policy_file, trained_file

LAPTOP = Path(__file__).parents[2] / "docs/results/teacher-laptop-unimal8-s1/policy.safetensors"


@pytest.mark.slow
def test_the_kept_teacher_is_taken_over_and_collected_from(database: Database) -> None:
    until_state(database, queue(database, generation(1)).id, RunState.FINISHED)
    file, _, config = trained_file(LAPTOP)
    assert TeacherConfig.model_validate(config).total_env_steps == 5_500_000
    extra = {"file": file.document()}
    teacher = queue(
        database,
        NewRun(RunKind.TEACHER, "laptop", config, 1, robot_sets=("robots",), extra=extra),
    )
    assert until_state(database, teacher.id, RunState.FINISHED).attempt == 1
    assert [each.sha256 for each in list_artifacts(database, teacher.id)] == [file_sha256(LAPTOP)]
    settings = {"samples_per_robot": 16, "simulations_per_robot": 2, "processes": 1}
    collection = NewRun(
        RunKind.COLLECTION,
        "laptop",
        settings,
        1,
        inputs=(teacher.id,),
        robot_sets=("robots",),
    )
    until_state(database, queue(database, collection).id, RunState.FINISHED)


def test_what_is_no_teacher_is_not_taken_over(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        trained_file(tmp_path / "absent.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(LAPTOP.read_bytes()[:100])
    with pytest.raises(UsageError, match="holds no policy"):
        trained_file(damaged)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_refused_by_file_and_tensor(
    tmp_path: Path, value: float
) -> None:
    tensors, document = load_checkpoint(LAPTOP)
    name = next(each for each in tensors if each.startswith("controller.") and tensors[each].ndim)
    tensors[name].view(-1)[-1] = value
    spoilt = tmp_path / "spoilt.safetensors"
    save_checkpoint(spoilt, tensors, document)
    said = rf"spoilt.safetensors: {re.escape(name)} holds numbers that are not finite"
    with pytest.raises(UsageError, match=said):
        trained_file(spoilt)
    with pytest.raises(UsageError, match=said):
        find_policy_file(spoilt, "flat", ())
    with pytest.raises(CheckpointError, match=r"spoilt.*holds numbers that are not finite"):
        load_policy(spoilt)
