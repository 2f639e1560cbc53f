"""A teacher or student that has not finished is a policy by its number, at a known checkpoint."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import generation, until, until_state

from db.machine import host_name
from db.queries import artifacts, attempts
from db.queries.metrics import list_series
from db.queries.runs import delete_runs, dependants, get_run, list_runs, queue_run
from db.records import CHECKPOINTS, NewRun, Run, RunKind, RunState
from db.session import Database
from engine.config.presets import preset
from engine.errors import RunError, UsageError
from engine.files import file_sha256
from engine.workers.commands import queue, request_stop
from engine.workers.policy_files import policy_in
from engine.workers.post_mortem import has_diverged
from engine.workers.run_policies import (
    acts,
    checkpoints_read,
    input_words,
    policy_problem,
    read_checkpoints,
    settled_checkpoints,
    with_checkpoints,
)
from engine.workers.schedule import Candidate, plan
from engine.workers.stages import STAGES
from engine.workers.states import sources
from hdtui.data.form_choices import inputs_problem, read_known

ENDED = (RunState.STOPPED, RunState.FAILED, RunState.LOST, RunState.INTERRUPTED)


def _run(database: Database, kind: RunKind, state: RunState, *steps: int) -> Run:
    """A run in a state, with checkpoints at these steps."""
    run = queue_run(database, NewRun(kind, str(kind), {}, seed=1))
    if state is RunState.QUEUED:
        return run
    with database.write() as session:
        attempts.claim(session, run.id, f"token-{run.id}", host_name())
        for step in steps:
            _save(database, run.id, step, session)
        if state not in (RunState.STARTING, RunState.RUNNING):
            attempts.change_state(session, run.id, state, list(RunState))
        if state is RunState.RUNNING:
            attempts.change_state(session, run.id, state, sources(state))
    return get_run(database, run.id)


def _save(database: Database, run_id: int, step: int, session: object) -> None:
    path = f"runs/{run_id}/checkpoint-{step}.safetensors"
    file = artifacts.NewFile(1, path, f"sha-{step}", 10)
    artifacts.insert_checkpoint(session, run_id, file, step, None, 1.0)  # type: ignore[arg-type]
    attempts.confirm(session, run_id, f"token-{run_id}", checkpoint_step=step)  # type: ignore[arg-type]


def _reader(database: Database, *inputs: int, kind: RunKind = RunKind.EVALUATION) -> Run:
    new = NewRun(kind, "reader", {}, seed=1, inputs=inputs)
    return queue_run(database, with_checkpoints(database, new))


@pytest.mark.parametrize("kind", [RunKind.TEACHER, RunKind.STUDENT])
@pytest.mark.parametrize("state", [*ENDED, RunState.RUNNING, RunState.STARTING])
def test_the_newest_checkpoint_of_an_unfinished_run_is_fixed_when_its_reader_is_queued(
    database: Database, kind: RunKind, state: RunState
) -> None:
    source = _run(database, kind, state, 1_024, 40_960)
    assert acts(source)
    reader = _reader(database, source.id)
    read = read_checkpoints(reader)[source.id]
    assert (read.step, read.sha256) == (40_960, "sha-40960")
    assert input_words(reader) == [f"{source.id} at 40,960 steps"]
    assert checkpoints_read(reader) == f"reads run {source.id} at 40,960 steps"
    assert reader.waits_for == ()
    states = {source.id: source.state}
    waits = Candidate(reader.id, reader.waits_for, stopping=reader.waits_for_end_of)
    assert plan([waits], states, 0, 2).start == (reader.id,)


def test_what_finished_or_has_no_checkpoint_is_read_as_before(database: Database) -> None:
    finished = _run(database, RunKind.TEACHER, RunState.FINISHED, 5)
    working = _run(database, RunKind.TEACHER, RunState.RUNNING)
    waiting = _run(database, RunKind.TEACHER, RunState.QUEUED)
    reader = _reader(database, finished.id, working.id, waiting.id)
    assert CHECKPOINTS not in reader.extra
    assert reader.waits_for == reader.inputs
    assert checkpoints_read(reader) == ""


@pytest.mark.parametrize("state", ENDED)
def test_an_unfinished_run_without_a_checkpoint_is_refused_with_that_reason(
    database: Database, state: RunState
) -> None:
    source = _run(database, RunKind.TEACHER, state)
    collection = _run(database, RunKind.COLLECTION, state)
    with pytest.raises(
        UsageError, match=f"run {source.id} teacher is {state} and has no checkpoint"
    ):
        _reader(database, source.id)
    known = read_known(database)
    problem = inputs_problem(known, [str(source.id)], STAGES[RunKind.COLLECTION])
    assert problem == policy_problem(source)
    # Expert data that are not whole are no policy.
    problem = inputs_problem(known, [str(collection.id)], STAGES[RunKind.STUDENT])
    assert problem is not None
    assert "expected finished" in problem
    assert not acts(collection)


def test_a_run_that_is_stopping_is_read_at_its_last_checkpoint(database: Database) -> None:
    source = _run(database, RunKind.TEACHER, RunState.STOPPING, 100)
    reader = _reader(database, source.id)
    assert input_words(reader) == [f"{source.id} at its last checkpoint"]
    candidate = Candidate(reader.id, reader.waits_for, stopping=reader.waits_for_end_of)
    assert plan([candidate], {source.id: RunState.STOPPING}, 0, 2).start == ()
    with database.write() as session:
        _save(database, source.id, 200, session)
        attempts.change_state(session, source.id, RunState.STOPPED, sources(RunState.STOPPED))
    decided = plan([candidate], {source.id: RunState.STOPPED}, 0, 2)
    assert (decided.start, decided.blocked) == ((reader.id,), {})
    assert settled_checkpoints(database, reader)[str(source.id)]["step"] == 200


def test_a_checkpoint_that_is_read_is_kept_as_long_as_its_reader(database: Database) -> None:
    source = _run(database, RunKind.TEACHER, RunState.RUNNING, 1, 2)
    reader = _reader(database, source.id)
    with database.write() as session:
        for step in (3, 4, 5):
            _save(database, source.id, step, session)
        gone = artifacts.forget_checkpoints(session, source.id, 1)
    left = [each.step for each in artifacts.list_checkpoints(database, source.id)]
    assert left == [5, 2]
    assert len(gone) == 3
    with database.write() as session:
        attempts.change_state(session, source.id, RunState.STOPPED, list(RunState))
    with pytest.raises(RunError, match="is the input of"):
        delete_runs(database, [source.id])
    assert [each.id for each in dependants(database, source.id)] == [reader.id]


def test_a_reader_of_a_checkpoint_is_not_stale_when_its_source_goes_on(database: Database) -> None:
    source = _run(database, RunKind.TEACHER, RunState.STOPPED, 7)
    reader, late = _reader(database, source.id), _run(database, RunKind.TEACHER, RunState.QUEUED)
    with database.write() as session:
        attempts.claim(session, reader.id, "reader", host_name())
        attempts.requeue(session, source.id, list(RunState), "boot", host_name())
        attempts.claim(session, source.id, "again", host_name())
    assert not get_run(database, reader.id).stale
    assert late.state is RunState.QUEUED


def test_the_folder_of_a_run_stands_for_what_it_made_else_for_its_last_checkpoint(
    tmp_path: Path,
) -> None:
    assert policy_in(tmp_path) == tmp_path
    (tmp_path / "deployed").mkdir()
    assert policy_in(tmp_path) == tmp_path / "deployed"
    for name in ("checkpoint-a1-000004", "checkpoint-a2-000002", "student-a2", "policy-a1"):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(b"")
        assert policy_in(tmp_path) == path


@pytest.mark.slow
def test_a_teacher_and_a_student_stopped_by_hand_are_used_by_number_to_the_end(
    database: Database, workspace_cli: "Cli"
) -> None:
    until_state(database, queue(database, generation(2)).id, RunState.FINISHED)
    config = preset("smoke").teacher.model_copy(
        update={"total_env_steps": 10**8, "checkpoint_every_s": 0.5}
    )
    new = NewRun(RunKind.TEACHER, "t", config.model_dump(mode="json"), 1, robot_sets=("robots",))
    teacher = queue(database, new)
    until(lambda: get_run(database, teacher.id).checkpoint_step is not None)
    running = workspace_cli("evaluate", "--policy", str(teacher.id), "--robots", "robots")
    request_stop(database, teacher.id)
    folder = database.home / "runs" / str(teacher.id)
    stopped = workspace_cli("evaluate", "--policy", str(folder), "--robots", "robots")
    at = get_run(database, teacher.id).checkpoint_step
    (read,) = stopped["run"]["evaluation"]["checkpoints"].values()
    assert read["step"] == at
    assert file_sha256(database.home / read["path"]) == read["sha256"]
    (early,) = running["run"]["evaluation"]["checkpoints"].values()
    assert early["step"] < read["step"]
    collected = workspace_cli("collect", str(teacher.id), "--robots", "robots")
    assert collected["run"]["checkpoints"] == {
        str(teacher.id): {k: read[k] for k in ("step", "path", "sha256")}
    }
    student = workspace_cli(
        *("distill", str(collected["run"]["id"]), "--set", "epochs=99999", "--detach"),
        *("--set", "checkpoint_every_s=0.2", "--set", "correction_rounds=0"),
    )["run"]["id"]
    until(lambda: get_run(database, student).checkpoint_step is not None)
    request_stop(database, student)
    deployed = workspace_cli("deploy", str(student), "--robot", "robots")
    kinds = [each["kind"] for each in deployed["run"]["artifacts"]]
    assert kinds.count("deployed_policy") == 2
    assert {run.state for run in list_runs(database)} == {RunState.FINISHED, RunState.STOPPED}


class Cli:
    """Commands in a workspace, as a shell gives them: their JSON."""

    def __init__(self, home: Path) -> None:
        self._home = ("--home", str(home))

    def __call__(self, command: str, *words: str) -> dict[str, dict[str, object]]:
        more = [] if command == "evaluate" else ["--preset", "smoke"]
        more += ["--episodes", "1"] if command == "evaluate" else []
        done = subprocess.run(
            [sys.executable, "-m", "hdtui", command, *words, *more, "--json", *self._home],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def workspace_cli(database: Database) -> Cli:
    return Cli(database.home)


@pytest.mark.slow
def test_what_diverged_keeps_its_numbers_and_names_commands_that_work(
    database: Database, workspace_cli: Cli
) -> None:
    until_state(database, queue(database, generation(2)).id, RunState.FINISHED)
    teacher = preset("smoke").teacher
    rates = {"learning_rate": 1.0, "learning_rate_limits": (1.0, 1.0), "gradient_norm": 1e9}
    ppo = teacher.ppo.model_copy(update=rates)
    config = teacher.model_copy(update={"ppo": ppo, "checkpoint_every_s": 0.0})
    new = NewRun(RunKind.TEACHER, "t", config.model_dump(mode="json"), 1, robot_sets=("robots",))
    run = until_state(database, queue(database, new).id, RunState.FAILED)
    assert run.reason is not None
    assert "it diverged; a lower ppo.learning_rate may hold" in run.reason
    assert f"`hdtui evaluate --policy {run.id} --robots SET` judges it" in run.reason
    assert f"`hdtui runs clone {run.id} --set KEY=VALUE`" in run.reason
    assert has_diverged(run)
    (kl,) = (each for each in list_series(database, run.id) if each.name == "approximate_kl")
    assert kl.last_value is not None
    assert kl.last_value > 20.0
    evaluated = workspace_cli("evaluate", "--policy", str(run.id), "--robots", "robots")
    assert evaluated["run"]["state"] == "finished"
