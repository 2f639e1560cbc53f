"""Command, form, dialog and pipeline agree: the same questions, names, sets and seeds."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_launch_command import changes
from typer.testing import CliRunner

from db.models import RunRow
from db.queries.robots import get_set, list_robots, list_sets
from db.queries.runs import list_events, list_runs, queue_run
from db.records import NewRun, Run, RunKind
from db.session import Database
from engine.config.base import Config
from engine.config.evaluation import EvaluationConfig
from engine.config.overrides import with_settings
from engine.config.presets import PRESETS, stage_preset
from engine.config.robots import GenerationConfig
from engine.config.teacher import named_teacher
from engine.errors import ConfigError, HdtuiError, RoleNotAllowedError, UsageError
from engine.morphology.generation import generate
from engine.workers import pipeline
from engine.workers.new_runs import new_run, queue_stage
from engine.workers.robot_library import TRAINING, UNSEEN, make_set
from engine.workers.stages import MUTANTS, STAGES, StageRequest
from engine.workers.workspace import Workspace
from hdtui.actions import queueing, robots
from hdtui.actions.evaluate import (
    NAMED_POLICIES,
    EvaluationRequest,
    command_text,
    evaluation_request,
    queue_evaluation,
    read_choices,
)
from hdtui.actions.queueing import queue_form
from hdtui.actions.run_form import STAGE_NAMES, RunForm, read_clone
from hdtui.cli.main import app
from hdtui.data.form_choices import read_known

ROBOTS = generate(5, seed=4)


class Door:
    """A workspace with a policy of every kind, and every way into it; nobody starts anything."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = Database.open(home)
        workspace = Workspace(home)
        members = [(robot, TRAINING) for robot in ROBOTS[:2]]
        make_set(self.database, workspace, "two", members)
        make_set(self.database, workspace, "one", members[:1])
        make_set(self.database, workspace, "apart", [(robot, UNSEEN) for robot in ROBOTS[2:4]])
        make_set(self.database, workspace, "mixed", [*members, (ROBOTS[2], UNSEEN)])
        make_set(self.database, workspace, "marked-0000000", [(ROBOTS[4], None)])
        rough = named_teacher("smoke", task="variable")
        self.teacher = self.finished(RunKind.TEACHER, sets=("two",))
        self.rough = self.finished(RunKind.TEACHER, rough, sets=("two",))
        self.collection = self.finished(RunKind.COLLECTION, inputs=(self.teacher,), sets=("two",))
        self.student = self.finished(RunKind.STUDENT, inputs=(self.collection,))
        self.deployment = self.finished(RunKind.DEPLOYMENT, inputs=(self.student,), sets=("one",))

    def finished(
        self,
        kind: RunKind,
        config: Config | None = None,
        inputs: tuple[int, ...] = (),
        sets: tuple[str, ...] = (),
    ) -> int:
        settings_of = config or stage_preset(str(kind), "smoke")
        document = settings_of.model_dump(mode="json")
        new = NewRun(kind, f"smoke-{kind}-s1", document, 1, inputs=inputs, robot_sets=sets)
        run = queue_run(self.database, new)
        with self.database.write() as session:
            row = session.get(RunRow, run.id)
            assert row is not None
            row.state = "finished"
        return run.id

    def form(self, stage: str, **words: str) -> RunForm:
        """A form that knows the workspace."""
        found = RunForm(stage=stage, **words)  # type: ignore[arg-type]
        found.take_defaults(read_known(self.database))
        return found

    def command(self, *words: str) -> str:
        """A command that is to work, detached; what it says."""
        done = self.run(*words)
        assert done.exit_code == 0, done.output
        return str(done.output)

    def refused(self, *words: str) -> str:
        """The sentence of a command that is to be wrong use; nothing is queued."""
        before = len(list_runs(self.database))
        done = self.run(*words)
        assert isinstance(done.exception, HdtuiError), done.output
        assert len(list_runs(self.database)) == before
        return str(done.exception)

    def run(self, *words: str) -> Any:
        detached = () if words[:2] == ("robots", "select") else ("--detach",)
        return CliRunner().invoke(app, [*words, *detached, "--home", str(self.home)])

    @property
    def newest(self) -> Run:
        """The run that was queued last."""
        return list_runs(self.database, limit=1)[0]


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    for module in ("commands", "pipeline"):
        monkeypatch.setattr(f"engine.workers.{module}.ensure_supervisor", lambda _: False)
    made = Door(tmp_path / "work")
    yield made
    made.database.close()


class TakenError(Exception):
    """What a command asked for."""


def asked_by(door: Door, words: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the command of these words asks a stage, or a pipeline, for."""

    def take(database: Database, request: Any = None, **choices: Any) -> None:
        raise TakenError(choices or request)

    with monkeypatch.context() as patched:
        patched.setattr(queueing, "queue_stage", take)
        patched.setattr(
            pipeline, "queue_pipeline", lambda _, config, **rest: take(_, config=config, **rest)
        )
        done = CliRunner().invoke(app, [*words[1:], "--home", str(door.home)])
    assert isinstance(done.exception, TakenError), (words, done.output, done.exception)
    return done.exception.args[0]


WORDS = st.sampled_from(["", "mine", "a b", "it's"])


@st.composite
def forms(draw: st.DrawFn, door: Door, stage: str) -> RunForm:
    """A form of a stage with sets, robots and runs of the workspace, right ones and wrong ones."""
    kind = STAGES[stage]
    robots = ["two", "one two", "apart", "mixed", "marked-0000000", "generated"]
    robots += [ROBOTS[0].name, f"{ROBOTS[3].name} {ROBOTS[1].digest[:9]}", f"two {ROBOTS[2].name}"]
    runs = [str(run.id) for run in list_runs(door.database) if run.kind in kind.reads] or [""]
    inputs = st.lists(st.sampled_from([*runs, *kind.baselines]), min_size=1, max_size=3)
    form = RunForm(stage=stage, preset=draw(st.sampled_from(list(PRESETS))))
    form.runs = {run.id: run for run in list_runs(door.database)}
    form.robots = draw(st.sampled_from(robots)) if "robots" in form.top_keys else ""
    form.inputs = " ".join(draw(inputs)) if "from" in form.top_keys else ""
    form.into = draw(st.sampled_from(["new", "newer"])) if "into" in form.top_keys else ""
    form.name = draw(WORDS) if "name" in form.top_keys else ""
    form.study = draw(WORDS)
    if kind.learns:
        form.allowed_roles = frozenset(draw(st.sets(st.sampled_from(["unseen", "none"]))))
    for key, text in draw(changes(stage)).items():
        form.set_value(key, text)
    return form


def outcome(database: Database, request: StageRequest) -> NewRun | str:
    """The run of a request, or why there is none."""
    try:
        return new_run(database, request)
    except HdtuiError as error:
        return str(error)


@pytest.mark.parametrize("examples", [2, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_the_printed_command_makes_the_very_run_of_the_form(
    stage: str, examples: int, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = read_known(door.database)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        form = data.draw(forms(door, stage))
        assume(not form.problems(known))
        assume('"cuda"' not in form.config().model_dump_json())  # refused without one
        asked = asked_by(door, shlex.split(form.command()), monkeypatch)
        if stage == "pipeline":
            robots = None if form.robots == "generated" else form.robots or None
            assert asked == {
                "config": form.config(),
                "preset": form.preset,
                "robots": robots,
                "name": None,
                "study": form.study or None,
                "allowed_roles": form.allowed_roles,
            }
            return
        assert outcome(door.database, asked) == outcome(door.database, form.request())

    holds()


@pytest.mark.slow
def test_a_clone_is_the_same_from_the_form_its_command_and_the_command_that_clones(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = {"train_count": 5, "unseen_count": 3, "seed": 4}
    far = GenerationConfig.model_validate({"unseen_count": 3, "seed": 4})
    both = GenerationConfig.model_validate(grown)
    policies = {"inputs": (door.student, door.teacher), "baselines": ("random",)}
    kind, smoke = RunKind, PRESETS["smoke"]
    for asked in (
        StageRequest(kind.GENERATION, far, fills={UNSEEN: "far"}),
        StageRequest(kind.GENERATION, both, fills={TRAINING: "near", UNSEEN: "near-unseen"}),
        StageRequest(kind.MUTATION, smoke.mutation, robots=("two",), fills={MUTANTS: "more"}),
        StageRequest(kind.TEACHER, smoke.teacher, "smoke", robots=("two",), study="a b"),
        StageRequest(
            kind.COLLECTION, smoke.collection, inputs=(door.teacher,), robots=("one", "two")
        ),
        StageRequest(
            kind.EVALUATION, EvaluationConfig(seed=9), robots=("two", ROBOTS[2].name), **policies
        ),
        StageRequest(
            kind.DEPLOYMENT, smoke.deployment, inputs=(door.student,), robots=(ROBOTS[2].name,)
        ),
    ):
        run = queue_stage(door.database, asked)
        for name in run.extra.values():
            if isinstance(name, str):  # what a run fills is there when it is cloned
                make_set(door.database, Workspace(door.home), name, [(ROBOTS[4], TRAINING)])
        form = read_clone(door.database, run.id)
        again = outcome(door.database, form.request())
        assert isinstance(again, NewRun)
        for words in (shlex.split(form.command()), ["hdtui", "runs", "clone", str(run.id)]):
            assert outcome(door.database, asked_by(door, words, monkeypatch)) == again
        same = ("seed", "config", "inputs", "robot_sets", "group")
        assert [getattr(again, key) for key in same] == [getattr(run, key) for key in same]
        if not run.extra.keys() & {"unseen_set", "training_set", "mutant_set"}:
            assert (again.name, again.extra) == (run.name, run.extra)


def test_no_door_lets_a_policy_onto_ground_that_it_cannot_see(door: Door) -> None:
    said = f"run {door.rough} .*learned on variable and sees terrain heights.*cannot act on flat"
    form = door.form("evaluation", inputs=str(door.rough), robots="two")
    assert form.config().task.name == "variable"  # type: ignore[attr-defined]
    form.set_value("task.name", "flat")
    collection = door.form("collection", inputs=str(door.rough), robots="two")
    collection.set_value("task.name", "flat")
    for wrong in (form, collection):
        with pytest.raises(UsageError, match=said):
            queue_form(door.database, wrong)
    wanted = EvaluationRequest((door.rough,), (ROBOTS[0].name,), "flat")
    with pytest.raises(UsageError, match=said):
        queue_evaluation(door.database, wanted)
    words = ("evaluate", "--policy", str(door.rough), "--robots", "two", "--task", "flat")
    assert "cannot act on flat" in door.refused(*words)
    rough = with_settings(PRESETS["smoke"], {"evaluation.task.name": "obstacles"}, "")
    with pytest.raises(ConfigError, match=r"evaluation.task.name obstacles: the teacher learns on"):
        pipeline.queue_pipeline(door.database, rough, robots="two")
    choices = read_choices(door.database, [door.rough], [(ROBOTS[0].digest, ROBOTS[0].name)])
    assert choices.start == EvaluationRequest((door.rough,), (ROBOTS[0].name,), "variable")


def test_the_dialog_offers_what_form_and_command_take(door: Door) -> None:
    choices = read_choices(door.database, [])
    offered = door.form("evaluation").offers("from", read_known(door.database))
    policies = [run.id for run in choices.policies]
    assert {*map(str, policies), *NAMED_POLICIES} == {word for word, _ in offered}
    assert policies[-1] == door.deployment, "what acts on any robot stands before it"
    wanted = EvaluationRequest((door.deployment, "random"), (ROBOTS[0].name,), "flat", 2, 5)
    queue_evaluation(door.database, wanted)
    from_dialog = door.newest
    door.command(*shlex.split(command_text(wanted).removesuffix(" --detach"))[1:])
    assert door.newest.extra == from_dialog.extra == {"baselines": ["random"]}
    assert door.newest.inputs == from_dialog.inputs == (door.deployment,)


def test_a_deployment_is_evaluated_on_robots_that_it_has_files_for(door: Door) -> None:
    said = f"{ROBOTS[1].name} has no policy in run {door.deployment} deployment"
    words = ("evaluate", "--policy", str(door.deployment), "--robots", "two")
    assert said in door.refused(*words)
    with pytest.raises(UsageError, match=said):
        queue_form(
            door.database, door.form("evaluation", inputs=str(door.deployment), robots="two")
        )


@pytest.mark.slow
def test_a_run_without_a_name_is_called_alike_from_every_door(door: Door) -> None:
    teacher = str(door.teacher)
    for stage, words, name in (
        ("teacher", {"robots": "one two"}, "smoke-one-two-s1"),
        ("collection", {"inputs": teacher, "robots": "two"}, f"smoke-{teacher}-on-two-s1"),
        ("student", {"inputs": str(door.collection)}, f"smoke-{door.collection}-s1"),
        (
            "evaluation",
            {"inputs": f"{teacher} zero", "robots": f"two {ROBOTS[2].name} {ROBOTS[3].name}"},
            f"smoke-{teacher}-zero-on-two-2-robots-s1",
        ),
        (
            "deployment",
            {"inputs": str(door.student), "robots": ROBOTS[2].name},
            f"smoke-{door.student}-on-{ROBOTS[2].name}-s1",
        ),
    ):
        form = door.form(stage, preset="smoke", **words)
        queue_form(door.database, form)
        from_form = door.newest
        printed = shlex.split(form.command())[1:]
        door.command(*(word for word in printed if word != "--detach"))
        assert (from_form.name, door.newest.name) == (name, name)
        assert from_form.robot_sets == door.newest.robot_sets
    wanted = EvaluationRequest((door.teacher,), (ROBOTS[0].name,))
    assert new_run(door.database, evaluation_request(door.database, wanted)).name == (
        f"laptop-{teacher}-on-{ROBOTS[0].name}-s7"
    )


def test_the_same_robots_are_one_set_from_screen_and_command(door: Door) -> None:
    digests = [robot.digest for robot in ROBOTS[1:3]]
    names = [(robot.digest, robot.name) for robot in reversed(ROBOTS[1:3])]
    choices = read_choices(door.database, [door.teacher], names)
    queue_evaluation(door.database, choices.start)
    marked = door.newest.robot_sets
    words = ("evaluate", "--policy", str(door.teacher), "--robots")
    door.command(*words, ",".join(robot.name for robot in ROBOTS[1:3]))
    assert door.newest.robot_sets == marked
    door.command(*words, digests[1][:8], "--robots", ROBOTS[1].name)
    assert door.newest.robot_sets == marked
    # A set that an earlier version named otherwise goes on.
    door.command(*words, ROBOTS[4].name)
    assert door.newest.robot_sets == ("marked-0000000",)


def test_every_stage_has_a_seed_and_every_door_takes_it(door: Door) -> None:
    for stage in RunKind:
        assert stage_preset(str(stage), "smoke").model_fields_set | {"seed"}
        assert "seed" in STAGES[stage].config.model_fields
    config = PRESETS["smoke"].model_copy(update={"seed": 5})
    _, runs = pipeline.queue_pipeline(door.database, config, robots="two")
    assert {run.seed for run in runs} == {run.config["seed"] for run in runs} == {5}
    door.command("deploy", str(door.student), "--robot", "two")
    from_command = door.newest
    queue_form(door.database, door.form("deployment", inputs=str(door.student), robots="two"))
    assert from_command.seed == door.newest.seed == 1


def test_a_generation_fills_a_set_of_unseen_robots_where_it_makes_some(door: Door) -> None:
    found = []
    for number in ("0", "3"):
        robots.generate(door.database, "2", number, "1", f"dialog{number}")
        found.append(door.newest.extra)
        door.command("robots", "generate", "--into", f"command{number}", "--unseen", number)
        found.append(door.newest.extra)
        form = door.form("generation", into=f"form{number}")
        form.set_value("unseen_count", number)
        queue_form(door.database, form)
        found.append(door.newest.extra)
    doors = ("dialog", "command", "form")
    assert found == [{"training_set": f"{door}0"} for door in doors] + [
        {"training_set": f"{door}3", "unseen_set": f"{door}3-unseen"} for door in doors
    ]
    config = with_settings(PRESETS["smoke"], {"generation.unseen_count": 0}, "")
    _, runs = pipeline.queue_pipeline(door.database, config)
    evaluation = next(run for run in runs if run.kind is RunKind.EVALUATION)
    assert evaluation.robot_sets == (f"pipeline{evaluation.pipeline}-training",)


@pytest.mark.parametrize(("name", "role"), [("apart", "unseen"), ("marked-0000000", "none")])
@pytest.mark.slow
def test_robots_that_are_not_for_training_teach_nobody_without_a_word(
    door: Door, name: str, role: str
) -> None:
    teacher, word = str(door.teacher), ("--allow-role", role)
    said = (
        "the robots of " + name + (" have the role unseen" if role == "unseen" else " have no role")
    )
    for words in (
        ("teach", "--robots", "two", "--robots", name, "--preset", "smoke"),
        ("collect", teacher, "--robots", name),
        ("robots", "mutate", name, "--into", "offspring"),
        ("pipeline", "--preset", "smoke", "--robots", name),
    ):
        sentence = door.refused(*words)
        assert said in sentence
        assert f"--allow-role {role}" in sentence
        other = "none" if role == "unseen" else "unseen"
        assert said in door.refused(*words, "--allow-role", other)
        door.command(*words, *word)
    with pytest.raises(RoleNotAllowedError, match=said):
        robots.mutate(door.database, name, "2", "1", "dialog")
    for stage, more in (("teacher", {}), ("collection", {"inputs": teacher}), ("pipeline", {})):
        form = door.form(stage, preset="smoke", robots=name, **more)
        with pytest.raises(RoleNotAllowedError) as refusal:
            queue_form(door.database, form)
        assert refusal.value.role == role
        form.allowed_roles |= {role}
        assert f"--allow-role {role}" in form.command()
        queue_form(door.database, form)
        form.set_top("robots", "two")
        assert "--allow-role" not in form.command()


def test_the_refusal_names_the_run_that_set_the_robots_apart(door: Door) -> None:
    config = GenerationConfig(unseen_count=1)
    grown = queue_stage(
        door.database, StageRequest(RunKind.GENERATION, config, fills={UNSEEN: "grown"})
    )
    make_set(door.database, Workspace(door.home), "grown", [(ROBOTS[4], UNSEEN)])
    sentence = door.refused("teach", "--robots", "grown")
    assert f"run {grown.id} generation grown set them apart" in sentence
    door.command("evaluate", "--policy", str(door.teacher), "--robots", ROBOTS[4].name)
    assert f"run {door.newest.id} evaluation" in door.refused("teach", "--robots", "marked-0000000")


def test_a_form_that_trains_is_offered_sets_for_training_alone(door: Door) -> None:
    door.finished(RunKind.TEACHER, sets=("apart",))
    door.finished(RunKind.EVALUATION, inputs=(door.teacher,), sets=("marked-0000000",))
    known = read_known(door.database)
    for stage in ("teacher", "mutation", "collection"):
        form = door.form(stage)
        assert form.robots == "one"  # that of the newest run on a set for training
        assert [word for word, _ in form.offers("robots", known)] == ["mixed", "one", "two"]
    assert ("generated", "new robots") in door.form("pipeline").offers("robots", known)
    everything = [word for word, _ in door.form("evaluation").offers("robots", known)]
    assert {"apart", "marked-0000000", ROBOTS[4].name} <= set(everything)


def test_training_on_robots_that_an_evaluation_took_for_unseen_is_warned_of(door: Door) -> None:
    make_set(door.database, Workspace(door.home), "leak", [(ROBOTS[2], TRAINING)])
    assert "⚠" not in door.command("teach", "--robots", "leak", "--preset", "smoke")
    judged = door.finished(RunKind.EVALUATION, inputs=(door.teacher,), sets=("apart",))
    said = f"{ROBOTS[2].name} of leak is also in apart, which evaluation {judged} judged as unseen"
    output = door.command("teach", "--robots", "leak", "--robots", "two", "--preset", "smoke")
    assert output.count(f"⚠ {said}") == output.count("⚠") == 1
    form = door.form("teacher", preset="smoke", robots="leak")
    assert f"⚠ {said}" in queue_form(door.database, form).text
    events = list_events(door.database, run_id=door.newest.id)
    (event,) = [event for event in events if event.level == "warning"]
    assert event.text.startswith(said)
    assert read_known(door.database).warnings["leak"].startswith(said)
    assert "⚠" in door.command("pipeline", "--preset", "smoke", "--robots", "leak")


def test_the_runs_of_a_pipeline_and_of_its_like_are_told_apart_by_their_names(door: Door) -> None:
    for _ in range(2):
        door.command("pipeline", "--preset", "smoke", "--robots", "mixed")
    door.command("pipeline", "--preset", "smoke", "--robots", "mixed", "--name", "mine")
    runs = [run for run in list_runs(door.database, newest_first=False) if run.pipeline]
    names = [run.name for run in runs]
    assert len(set(names)) == len(names)
    assert names[:2] == ["smoke-mixed-teacher-s1", "smoke-mixed-mutation-s1"]
    assert "smoke-mixed-2-teacher-s1" in names
    assert "mine-student" in names


def test_a_clone_says_in_its_name_what_differs(door: Door) -> None:
    door.command("teach", "--robots", "two", "--preset", "smoke", "--seed", "3")

    def name(run_id: int, robots: str = "", **values: str) -> str:
        form = read_clone(door.database, run_id)
        for key, text in values.items():
            form.set_value(key.replace("__", "."), text)
        if robots:
            form.set_top("robots", robots)
        assert f"--name {form.automatic_name}" in form.command()
        return form.request().name

    first = door.newest.id
    assert name(first) == "smoke-two-s3"
    assert name(first, seed="4") == "smoke-two-s4"
    changed = name(first, ppo__learning_rate="1e-5", seed="4")
    assert changed == "smoke-two-learning_rate=1e-05-s4"
    words = ("--preset", "smoke", "--seed", "4", "--set", "ppo.learning_rate=1e-5")
    door.command("teach", "--robots", "two", "--name", changed, *words)
    second = door.newest.id
    assert name(second, ppo__learning_rate="0.002") == "smoke-two-learning_rate=0.002-s4"
    assert name(second, robots="one") == "smoke-two-learning_rate=1e-05-on-one-s4"
    three = name(first, ppo__horizon="32", ppo__epochs="1", total_env_steps="9000")
    assert three.startswith("smoke-two-")
    assert three.endswith("-and-1-more-s3")


def test_single_robots_are_deployed_and_evaluated_from_the_form(door: Door) -> None:
    form = door.form("deployment", inputs=str(door.student), robots=f"{ROBOTS[2].name}")
    known = read_known(door.database)
    assert form.problems(known) == {}
    queue_form(door.database, form)
    (robot,) = list_robots(door.database, door.newest.robot_sets[0])
    assert robot.digest == ROBOTS[2].digest
    form.set_top("robots", "nobody")
    assert "no robot set or robot nobody" in form.problems(known)["robots"]
    assert "no robot set nobody" in RunForm(robots="nobody").problems(known)["robots"]


def test_a_robot_whose_name_means_another_is_named_by_its_digest(door: Door) -> None:
    from dataclasses import replace

    twin = replace(ROBOTS[4], name=ROBOTS[0].name)  # a newer body of the same name
    make_set(door.database, Workspace(door.home), "twins", [(twin, TRAINING)])
    wanted = read_choices(door.database, [door.teacher], [(ROBOTS[0].digest, ROBOTS[0].name)]).start
    assert wanted.robots == (ROBOTS[0].digest[:12],)
    queue_evaluation(door.database, wanted)
    from_dialog = door.newest
    door.command(*shlex.split(command_text(wanted).removesuffix(" --detach"))[1:])
    assert door.newest.robot_sets == from_dialog.robot_sets
    (robot,) = list_robots(door.database, from_dialog.robot_sets[0])
    assert robot.digest == ROBOTS[0].digest


def test_a_refused_request_leaves_no_set_and_no_robot_behind(door: Door, tmp_path: Path) -> None:
    from engine.morphology.mjcf import save_robot

    sets, robots = list_sets(door.database), list_robots(door.database)
    stranger = save_robot(generate(1, seed=99)[0], tmp_path / "files")
    words = ("evaluate", "--policy", str(door.deployment), "--robots", str(stranger))
    assert "has no policy" in door.refused(*words)
    words = ("evaluate", "--policy", str(door.rough), "--robots", ROBOTS[3].name, "--task", "flat")
    assert "cannot act" in door.refused(*words)
    assert (list_sets(door.database), list_robots(door.database)) == (sets, robots)


def test_a_robot_has_as_many_limbs_on_screens_as_in_commands_and_files(door: Door) -> None:
    from hdtui.data.robots import FIELDS, passing, read_robots
    from hdtui.data.run_filters import parse_filter
    from hdtui.exports.tables import robots_table

    robot = ROBOTS[0]
    limbs = len(robot.limbs) - 1  # the head is none
    listed = json.loads(door_json(door, "robots", "list", "one"))["robots"][0]
    shown = json.loads(door_json(door, "robots", "show", robot.name))
    exported = robots_table(door.database, "one").records()[0]
    assert listed["limbs"] == shown["num_limbs"] == exported["num_limbs"] == limbs
    assert (
        f"  {limbs} limbs, "
        in CliRunner().invoke(app, ["robots", "show", robot.name, "--home", str(door.home)]).output
    )
    facts = read_robots(door.database, "one", None)
    assert len(passing(facts, parse_filter(f"limbs={limbs}", FIELDS))) == 1


def door_json(door: Door, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--json", "--home", str(door.home)])
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def test_robots_that_were_set_apart_stay_so_in_a_set_that_is_selected(door: Door) -> None:
    def role(name: str) -> str | None:
        return get_set(door.database, name).role

    names = [robot.name for robot in ROBOTS]
    select = ("robots", "select")
    door.command(*select, "apart", names[2], "--into", "still")
    door.command(*select, "mixed", names[0], names[2], "--into", "both")
    door.command(*select, "marked-0000000", names[4], "--into", "free")
    door.command(*select, "apart", names[2], "--into", "allowed", "--role", "training")
    assert [role("still"), role("both"), role("free")] == ["unseen", None, "training"]
    assert role("allowed") == "training"
    robots.select(door.database, [ROBOTS[3].digest], "screen")
    robots.select(door.database, [ROBOTS[0].digest], "other")
    assert [role("screen"), role("other")] == ["unseen", "training"]
