"""Which policies can drive which robots is said before a run is queued."""

from dataclasses import replace

import pytest

from db.models import RunRow
from db.queries.runs import list_runs, queue_run
from db.records import NewRun, RunKind
from db.session import Database
from engine.config.distillation import CollectionConfig, StudentConfig
from engine.config.evaluation import DeploymentConfig, EvaluationConfig
from engine.config.network import NetworkConfig
from engine.config.presets import PRESETS
from engine.config.teacher import TeacherConfig
from engine.errors import UsageError
from engine.morphology.generation import generate
from engine.morphology.tree import Morphology
from engine.workers import commands, robot_library
from engine.workers.new_runs import queue_stage
from engine.workers.pipeline import queue_pipeline
from engine.workers.stages import StageRequest
from engine.workers.workspace import Workspace

ROBOTS = generate(2, seed=5)


def with_gear(robot: Morphology, gear: float) -> Morphology:
    limbs = [
        replace(limb, joints=tuple(joint and replace(joint, gear=gear) for joint in limb.joints))
        for limb in robot.limbs
    ]
    return replace(robot, name="variant", limbs=tuple(limbs), lineage=None)


@pytest.fixture
def filled(database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A workspace with a set inside the design space and one of a variant; nothing is started."""
    monkeypatch.setattr(commands, "ensure_supervisor", lambda database: None)
    robot_library.make_set(database, workspace, "inside", [(robot, None) for robot in ROBOTS])
    robot_library.make_set(database, workspace, "variant", [(with_gear(ROBOTS[0], 270.0), None)])
    return database


def network(**settings: str) -> NetworkConfig:
    return NetworkConfig.model_validate(settings)


def ended(
    database: Database,
    stage: RunKind,
    robots: tuple[str, ...],
    inputs: tuple[int, ...] = (),
    **settings: str,
) -> int:
    """A finished run whose network has these settings."""
    config = {"network": network(**settings).model_dump(mode="json")} if settings else {}
    run = queue_run(database, NewRun(stage, "x", config, 1, inputs=inputs, robot_sets=robots))
    with database.write() as session:
        row = session.get(RunRow, run.id)
        assert row is not None
        row.state = "finished"
    return run.id


ACTS = {
    RunKind.COLLECTION: CollectionConfig(),
    RunKind.EVALUATION: EvaluationConfig(),
    RunKind.DEPLOYMENT: DeploymentConfig(),
}


@pytest.mark.parametrize("kind", ACTS, ids=str)
def test_a_policy_of_the_transformed_context_refuses_a_body_without_classes(
    filled: Database, kind: RunKind
) -> None:
    deploys = kind is RunKind.DEPLOYMENT
    maker = RunKind.STUDENT if deploys else RunKind.TEACHER
    collection = ended(filled, RunKind.COLLECTION, ("inside",))
    inputs = (collection,) if deploys else ()
    reads = ended(filled, maker, ("inside",), inputs, kind="hypernetwork")
    raw = ended(filled, maker, ("inside",), inputs, kind="hypernetwork", context="raw")

    def request(policy: int, robots: str) -> StageRequest:
        return StageRequest(
            kind, ACTS[kind], inputs=(policy,), robots=(robots,), allowed_roles=("none",)
        )

    before = len(list_runs(filled))
    with pytest.raises(
        UsageError, match=rf"run {reads} \({maker} x\) cannot drive variant: the gea"
    ):
        queue_stage(filled, request(reads, "variant"))
    assert len(list_runs(filled)) == before
    queue_stage(filled, request(reads, "inside"))
    queue_stage(filled, request(raw, "variant"))


def test_what_learns_is_asked_as_well(filled: Database) -> None:
    teacher = ended(filled, RunKind.TEACHER, ("variant",), kind="multi_mlp")
    collection = ended(filled, RunKind.COLLECTION, ("variant",), (teacher,))
    for request in (
        StageRequest(
            RunKind.TEACHER, TeacherConfig(), robots=("variant",), allowed_roles=("none",)
        ),
        StageRequest(RunKind.STUDENT, StudentConfig(), inputs=(collection,)),
    ):
        with pytest.raises(UsageError, match="is 270, none of the classes 150, 200, 250, 300"):
            queue_stage(filled, request)
    drives = TeacherConfig(network=network(attention="self"))
    queue_stage(
        filled,
        StageRequest(RunKind.TEACHER, drives, robots=("variant",), allowed_roles=("none",)),
    )
    with pytest.raises(UsageError, match="the teacher cannot drive variant"):
        queue_pipeline(filled, PRESETS["quick"], robots="variant", allowed_roles=("none",))
