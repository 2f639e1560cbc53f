"""What a policy was trained on is what its file says: by run, by file, whatever sets are named."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from db.models import RunRow
from db.queries.runs import get_run, list_runs, queue_run
from db.records import NewRun, Run, RunKind
from db.session import Database
from engine.config.network import NetworkConfig
from engine.config.teacher import TeacherConfig
from engine.errors import UsageError
from engine.evaluation.robot_groups import Knowledge, robot_groups
from engine.files import file_sha256
from engine.morphology.generation import generate
from engine.rollout.saved_policy import PolicyDescription
from engine.workers import commands, robot_library
from engine.workers.lineage import Ancestry, trainers
from engine.workers.new_runs import queue_stage
from engine.workers.policy_files import DEPLOYED, PolicyFile, file_knowledge, trained_file
from engine.workers.stages import StageRequest
from engine.workers.workspace import Workspace
from hdtui.data.robots import read_robot

ROBOTS = generate(4, seed=5)
DIGESTS = [robot.digest for robot in ROBOTS]


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "ensure_supervisor", lambda database: None)


@pytest.fixture
def filled(database: Database, workspace: Workspace) -> Database:
    """Sets of the robots that a file knows, of those it does not, and of both."""
    for name, robots in (("known", ROBOTS[:2]), ("others", ROBOTS[2:]), ("mixed", ROBOTS[1:3])):
        members = [(robot, "training") for robot in robots]
        robot_library.make_set(database, workspace, name, members)
    return database


def policy(path: Path, kind: str = "teacher", **policy: Sequence[str]) -> Path:
    """A policy file that knows the first two robots, as far as anybody reads it who builds none."""
    described = {"task": "flat", "digests": DIGESTS[:2], **policy}
    document = {
        "kind": kind,
        "policy": described,
        "config": TeacherConfig().model_dump(mode="json"),
    }
    save_file({"x": np.zeros(1, np.float32)}, path, {"hdtui": json.dumps(document)})
    return path


def adopted(database: Database, path: Path, *sets: str) -> Run:
    found, _, _ = trained_file(path)
    request = StageRequest(
        RunKind.TEACHER, TeacherConfig(), robots=sets, adopted=found.document(), name="adopted"
    )
    return queue_stage(database, request)


@pytest.mark.parametrize(("robots", "known"), [("others", 0), ("mixed", 1)])
def test_sets_that_a_file_does_not_know_are_refused_and_counted(
    filled: Database, tmp_path: Path, robots: str, known: int
) -> None:
    path = policy(tmp_path / "p.safetensors")
    with pytest.raises(UsageError, match=rf"2 robots and knows {known} of the 2 of {robots}"):
        adopted(filled, path, robots)
    assert list_runs(filled) == []


@pytest.mark.parametrize("sets", [(), ("known",)])
def test_an_adopted_run_knows_what_its_file_knows(
    filled: Database, tmp_path: Path, sets: tuple[str, ...]
) -> None:
    path = policy(tmp_path / "p.safetensors")
    run = adopted(filled, path, *sets)
    path.unlink()  # written down when it was queued
    by_run = Ancestry(filled).knowledge(run)
    assert by_run == Knowledge(frozenset(DIGESTS[:2]), frozenset(DIGESTS[:2]))
    assert trainers(filled, DIGESTS[0], ["known"]) == [run.id]
    assert trainers(filled, DIGESTS[3], ["others"]) == []
    assert read_robot(filled, filled.home, DIGESTS[1]).trained_by == (run.id,)


def test_a_run_that_0_1_adopted_with_any_set_goes_by_its_file(
    filled: Database, tmp_path: Path
) -> None:
    path = policy(tmp_path / "p.safetensors")
    run = adopted(filled, path, "known")
    with filled.write() as session:
        row = session.get(RunRow, run.id)
        assert row is not None
        row.extra = {"file": {"paths": [str(path)], "sha256": [""], "label": "", "kind": "network"}}
    old = replace(get_run(filled, run.id), robot_sets=("others",))
    ancestry = Ancestry(filled)
    assert ancestry.trained_on(old) == frozenset(DIGESTS[:2])
    student = queue_run(filled, NewRun(RunKind.COLLECTION, "c", {}, 1, inputs=(run.id,)))
    assert Ancestry(filled).known_to(student) == frozenset(DIGESTS[:2])


def network_file(path: Path) -> PolicyFile:
    return PolicyFile(path.name, "network", (str(path),), (file_sha256(path),))


def test_a_student_is_judged_alike_by_its_run_and_by_its_file(
    filled: Database, tmp_path: Path
) -> None:
    teacher = adopted(filled, policy(tmp_path / "t.safetensors"), "known")
    collection = queue_run(
        filled, NewRun(RunKind.COLLECTION, "c", {}, 1, (teacher.id,), ("known", "mixed"))
    )
    student = queue_run(filled, NewRun(RunKind.STUDENT, "s", {}, 1, (collection.id,)))
    path = policy(
        tmp_path / "s.safetensors",
        "student",
        digests=DIGESTS[1:3],  # the first was held out
        teacher_digests=DIGESTS[:2],
        collected_digests=DIGESTS[:3],
    )
    by_file = file_knowledge(network_file(path))
    assert by_file == Ancestry(filled).knowledge(student)
    assert robot_groups(DIGESTS, [by_file]) == {
        "train": DIGESTS[:2],
        "unseen": [DIGESTS[3]],
        "robots": [DIGESTS[2]],
    }


def test_a_students_file_of_0_1_knows_what_it_learned_from(tmp_path: Path) -> None:
    path = policy(tmp_path / "s.safetensors", "student")
    both = frozenset(DIGESTS[:2])
    assert file_knowledge(network_file(path)) == Knowledge(both, both)


def test_a_deployed_file_says_where_its_student_knows_the_robot_from(tmp_path: Path) -> None:
    description = PolicyDescription(
        network=NetworkConfig(kind="hypernetwork"),
        task="flat",
        terrain_points=0,
        digests=tuple(DIGESTS[1:3]),
        teacher_digests=tuple(DIGESTS[:2]),
        collected_digests=tuple(DIGESTS[:3]),
        action_std=1.0,
    )
    assert [description.known_from(digest) for digest in DIGESTS] == [
        *("training", "training", "collection", "nothing")
    ]
    plain = description.model_copy(update={"teacher_digests": (), "collected_digests": ()})
    assert [plain.known_from(digest) for digest in DIGESTS] == [
        *("nothing", "training", "training", "nothing")
    ]


def test_deployed_files_on_unseen_robots_alone_are_not_taken_at_a_sets_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {DIGESTS[2]: "collection", DIGESTS[3]: "nothing"}

    def document(path: Path) -> dict[str, object]:
        digest = path.stem
        return {"robot": {"digest": digest, "known_from": said[digest]}}

    monkeypatch.setattr("engine.workers.policy_files.load_document", document)
    monkeypatch.setattr(PolicyFile, "checked_paths", lambda file: tuple(map(Path, file.paths)))
    unseen = file_knowledge(PolicyFile("d", DEPLOYED, (f"{DIGESTS[3]}.npz",), ("",)))
    assert unseen.says
    assert robot_groups([DIGESTS[3]], [unseen]) == {"unseen": [DIGESTS[3]]}
    met = file_knowledge(PolicyFile("d", DEPLOYED, (f"{DIGESTS[2]}.npz",), ("",)))
    assert robot_groups([DIGESTS[2]], [met]) == {"robots": [DIGESTS[2]]}
    said[DIGESTS[3]] = None  # type: ignore[assignment]
    assert not file_knowledge(PolicyFile("d", DEPLOYED, (f"{DIGESTS[3]}.npz",), ("",))).says
