"""Comparisons and claims from evaluations that are written into a database by hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from database_rows import record_episodes

from db.models import RunRow
from db.queries.evaluations import set_policies
from db.queries.runs import archive, get_run, queue_run
from db.records import NewRun, RunKind
from db.session import Database
from engine.config.study import load_study
from engine.errors import RunError, UsageError
from engine.evaluation.statistics import bootstrap, bootstrap_draws, mean
from engine.events import Episode, StageContext
from engine.morphology.generation import generate
from engine.morphology.mutation import mutate
from engine.morphology.tree import Morphology
from engine.workers import commands
from engine.workers.jobs.evaluation import _groups, _headline
from engine.workers.jobs.job import Job
from engine.workers.robot_library import make_set
from engine.workers.studies import running
from engine.workers.studies.recipes import current_version
from engine.workers.studies.running import Plan
from engine.workers.workspace import Workspace
from hdtui.data.claim_evidence import claims, read_evidence
from hdtui.data.claims import Claim, Verdict, claim_document
from hdtui.data.compare_returns import compare, comparison_document
from hdtui.data.efficiency import cost_curves, cost_question, headline_ratios

RATIOS = {"flat": 13.3, "variable": 5.9, "obstacles": 5.9}
MACS = {"flat": 160.8, "variable": 67.2, "obstacles": 67.4}


@pytest.fixture(scope="module")
def robots() -> list[Morphology]:
    """Four robots: two to train on, two unseen."""
    return generate(4, 3)


@dataclass
class Story:
    """A workspace in which pipelines ran."""

    database: Database
    robots: list[Morphology]

    def add(self, kind: RunKind, *, seed: int, inputs: tuple[int, ...] = (), **more: object) -> int:
        sets = ("training",) if kind in (RunKind.TEACHER, RunKind.COLLECTION) else ()
        new = NewRun(
            kind, f"r-s{seed}", {"seed": seed, **more}, seed, inputs=inputs, robot_sets=sets
        )
        run = queue_run(self.database, new)
        self.change(run.id, state="finished")
        return run.id

    def change(self, run_id: int, **values: object) -> None:
        with self.database.write() as session:
            row = session.get(RunRow, run_id)
            assert row is not None
            for name, value in values.items():
                setattr(row, name, value)

    def judge(self, policies: dict[int, tuple[float, float]], seed: int = 1, **more: object) -> int:
        """An evaluation with returns on training and unseen robots by policy run."""
        run_id = self.add(RunKind.EVALUATION, seed=seed, **more)
        episodes = [
            Episode(
                str(policy),
                robot.digest,
                "flat",
                seed,
                number,
                returns[place // 2] * (1 + 0.1 * (place % 2)) + number,
                1000,
                False,
                1.0,
                1.0,
                1.0,
            )
            for policy, returns in policies.items()
            for place, robot in enumerate(self.robots)
            for number in (-1, 1)
        ]
        record_episodes(self.database, run_id, episodes)
        with self.database.write() as session:
            set_policies(session, run_id, {str(policy): policy for policy in policies})
        return run_id

    def pipeline(
        self,
        seed: int,
        kept: float,
        kept_unseen: float,
        *,
        mutants: bool = True,
        **settings: dict[str, Any],
    ) -> int:
        """A student of a teacher, both judged; the student. ``settings`` are by kind of run."""
        teacher = self.add(RunKind.TEACHER, seed=seed, **settings.get("teacher", {}))
        data = (self.add(RunKind.MUTATION, seed=seed),) if mutants else ()
        inputs, collected = (teacher, *data), settings.get("collection", {})
        collection = self.add(RunKind.COLLECTION, seed=seed, inputs=inputs, **collected)
        own = settings.get("student", {})
        student = self.add(RunKind.STUDENT, seed=seed, inputs=(collection,), **own)
        returns = {teacher: (1000.0, 500.0), student: (1000.0 * kept, 500.0 * kept_unseen)}
        self.judge(returns, **settings.get("evaluation", {}))
        return student

    def claim(self, name: str) -> Claim:
        found = claims(read_evidence(self.database), RATIOS, MACS)
        return next(each for each in found if each.name == name)


@pytest.fixture
def story(tmp_path: Path, robots: list[Morphology]) -> Story:
    database = Database.open(tmp_path)
    make_set(database, Workspace(tmp_path), "training", [(each, "training") for each in robots[:2]])
    make_set(database, Workspace(tmp_path), "unseen", [(each, "unseen") for each in robots[2:]])
    return Story(database, robots)


def test_returns_are_told_by_what_a_policy_knows_and_differences_are_paired(story: Story) -> None:
    student = story.pipeline(1, 0.9, 0.8)
    teacher = student - 3
    found = compare(story.database, [teacher, student])
    (_, (of_teacher,)), (_, (of_student,)) = found.subjects
    assert of_teacher.robots == 4
    assert of_teacher.trained is not None
    assert of_teacher.trained.value == pytest.approx(1050.0)
    assert of_student.unseen is not None
    assert of_student.unseen.value == pytest.approx(525 * 0.8)
    assert of_student.generalization_gap is not None
    assert of_student.generalization_gap.value == pytest.approx(1050 * 0.9 - 525 * 0.8)
    # No mean is taken over robots that were trained on and robots that were not.
    assert of_teacher.mean is of_teacher.interquartile_mean is None
    differences = {each.group: each for each in found.differences}
    for group, expected in (("train", 1050 * 0.1), ("unseen", 525 * 0.2)):
        difference = differences[group]
        assert (difference.first, difference.robots) == (f"teacher {teacher}", 2)
        assert (difference.episodes, difference.task) == (4, "flat")
        assert difference.difference.value == pytest.approx(expected)
    assert comparison_document(found)["runs"][0]["id"] == teacher


def test_a_ratio_stays_when_the_student_is_judged_on_other_robots_later(story: Story) -> None:
    student = story.pipeline(1, 0.9, 0.8)
    first = student + 1
    story.judge({student - 3: (0.0, 0.0), student: (5.0, 5.0)}, seed=2)
    found = {each.name: each for each in claims(read_evidence(story.database), RATIOS, MACS)}
    assert found["student = teacher, trained"].figures == (pytest.approx(0.9),)
    assert found["student = teacher, trained"].runs == (first,)


def test_mutants_are_known_by_their_parents_where_no_mutation_run_is_named(
    story: Story, robots: list[Morphology]
) -> None:
    story.pipeline(1, 0.9, 0.8, mutants=False)
    assert not read_evidence(story.database).with_mutants
    child = mutate(robots[0], seed=4)
    make_set(story.database, Workspace(story.database.home), "children", [(child, None)])
    teacher = story.add(RunKind.TEACHER, seed=1)
    with_child = NewRun(
        RunKind.COLLECTION, "c", {}, 1, inputs=(teacher,), robot_sets=("training", "children")
    )
    collection = queue_run(story.database, with_child).id
    story.change(collection, state="finished")
    student = story.add(RunKind.STUDENT, seed=1, inputs=(collection,))
    story.judge({teacher: (1000.0, 500.0), student: (900.0, 400.0)})
    assert [each.student_id for each in read_evidence(story.database).with_mutants] == [student]


def test_the_same_robots_have_one_interval_and_one_policy_judged_twice_is_no_group(
    story: Story,
) -> None:
    teacher = story.add(RunKind.TEACHER, seed=1)
    evaluations = [story.judge({teacher: (1000.0, 500.0)}) for _ in range(2)]
    found = compare(story.database, evaluations)
    assert found.groups == ()
    intervals = {returns.trained for _, each in found.subjects for returns in each}
    assert len(intervals) == 1
    (both,) = compare(story.database, [teacher]).subjects[0][1]
    assert {both.trained} == intervals


def test_returns_name_the_evaluations_that_their_episodes_are_from(story: Story) -> None:
    teacher = story.add(RunKind.TEACHER, seed=1)
    replaced, again, other = (story.judge({teacher: (9.0, 9.0)}, seed=s) for s in (1, 1, 2))
    ((_, (returns,)),) = compare(story.database, [teacher]).subjects
    assert returns.evaluations == (again, other)
    assert replaced not in returns.evaluations
    assert returns.episodes == 16


def test_an_interval_is_of_as_many_resamples_as_in_the_evaluation(story: Story) -> None:
    teacher = story.add(RunKind.TEACHER, seed=1)
    story.judge({teacher: (1000.0, 500.0)}, bootstrap_samples=300)
    ((_, (returns,)),) = compare(story.database, [teacher]).subjects
    values = [1000.0, 1100.0]
    assert returns.trained == bootstrap(values, mean, bootstrap_draws(), samples=300)


def test_an_evaluation_groups_its_robots_as_claims_do(story: Story, tmp_path: Path) -> None:
    home = Workspace(tmp_path)
    mutants = [mutate(robot, seed=4) for robot in story.robots[:2]]
    make_set(story.database, home, "mutants", [(each, None) for each in mutants])
    teacher = story.add(RunKind.TEACHER, seed=1)
    new = NewRun(RunKind.COLLECTION, "c", {}, 1, inputs=(teacher,), robot_sets=("mutants",))
    collection = queue_run(story.database, new).id
    student = story.add(RunKind.STUDENT, seed=1, inputs=(collection,))
    # A set of robots "to train on" that nobody was trained on: its role says nothing.
    make_set(story.database, home, "other", [(each, "training") for each in story.robots[2:]])
    sets = ("training", "other", "mutants")
    evaluation = queue_run(story.database, NewRun(RunKind.EVALUATION, "e", {}, 1, robot_sets=sets))
    inputs = tuple(get_run(story.database, each) for each in (teacher, student))
    context = StageContext(tmp_path, 1, lambda event: None, lambda: False)
    assert _groups(Job(evaluation, inputs, story.database, home, context, lambda: None)) == {
        "train": [each.digest for each in story.robots[:2]],
        "unseen": [each.digest for each in story.robots[2:]],
        "robots": [each.digest for each in mutants],
    }


def test_the_headline_tells_returns_and_makes_a_ratio_where_one_can_be_made() -> None:
    returns = {
        "train": {"student": 2468.0, "teacher": 2457.0},
        "unseen": {"student": 1137.0, "teacher": 1115.0},
    }
    baselines = {"train": {"random": 2.0}, "unseen": {"random": 4.0}}
    groups: dict[Any, list[str]] = {"train": ["a", "b"], "unseen": ["c", "d"]}
    document: dict[str, Any] = {"returns": returns, "ratio": {"train": 1.0045, "unseen": 1.0197}}
    both = _headline(document, groups)
    assert both.text == (
        "student 2468 of teacher's 2457 (1.00) on training, 1137 of 1115 (1.02) on unseen"
    )
    assert (both.value, len(both.text)) == (1.0045, 80)
    for group, known in baselines.items():
        returns[group] |= known  # each group on its own: no mean is taken over both
    document |= {"ratio": {"train": 1.0045, "unseen": None}}
    assert _headline(document, groups).text == (
        "student 2468 of teacher's 2457 (1.00) on training robots; teacher 1115, student 1137 on"
        " unseen robots: the teacher earns about nothing; random 2 on training robots; random 4 on"
        " unseen robots"
    )
    document = {"returns": {"unseen": {"student": 1137.0, "teacher": 1115.0}}}
    alone = _headline(document | {"ratio": {"unseen": None}}, {"unseen": ["c"]})
    assert alone.text.endswith("unseen robots: one robot makes no ratio")
    assert alone.value is None


def test_only_episodes_of_equal_task_and_seed_are_paired(story: Story) -> None:
    first, second = (story.add(RunKind.TEACHER, seed=seed) for seed in (1, 2))
    story.judge({first: (1.0, 1.0)}, seed=1)
    story.judge({second: (5.0, 5.0)}, seed=2)
    assert compare(story.database, [first, second]).differences == ()
    story.judge({second: (5.0, 5.0)}, seed=1, task={"name": "flat", "reset_noise": 0.1})
    assert compare(story.database, [first, second]).differences == ()
    story.judge({second: (5.0, 5.0)}, seed=1)
    differences = compare(story.database, [first, second]).differences
    assert [each.group for each in differences] == ["train", "unseen"]


def test_runs_that_differ_by_seed_alone_make_a_group_with_an_interval(story: Story) -> None:
    teachers = [story.add(RunKind.TEACHER, seed=seed) for seed in (1, 2, 3)]
    story.judge({run_id: (100.0 * place, 0.0) for place, run_id in enumerate(teachers, 1)})
    found = compare(story.database, teachers)
    trained, unseen = found.groups
    assert (trained.group, unseen.group) == ("train", "unseen")
    assert trained.runs == unseen.runs == tuple(teachers)
    assert trained.over_seeds.mean == pytest.approx(210.0)
    assert unseen.over_seeds.mean == pytest.approx(0.0)
    assert found.config == {"seed": dict(zip(teachers, (1, 2, 3), strict=True))}
    with pytest.raises(RunError):
        compare(story.database, [99])


def test_claims_are_judged_over_three_seeds_of_one_setting(story: Story) -> None:
    for seed in (1, 2, 3):
        story.pipeline(seed, 0.99 + seed / 1000, 0.9)
        story.pipeline(seed, 0.99, 0.2, mutants=False)
    hypernetwork = story.add(RunKind.TEACHER, seed=1, network={"kind": "hypernetwork"})
    student = story.pipeline(9, 1.0, 1.0)
    story.judge({hypernetwork: (500.0, 100.0), student: (1000.0, 500.0)})
    found = {each.name: each for each in claims(read_evidence(story.database), RATIOS, MACS)}
    trained = found["student = teacher, trained"]
    assert trained.verdict is Verdict.REPRODUCED
    assert len(trained.runs) == 4
    assert found["student = teacher, unseen"].verdict is Verdict.NOT_REPRODUCED
    assert found["mutants help unseen robots"].verdict is Verdict.REPRODUCED
    behind = claim_document(found["HN by RL behind distilled"])
    assert behind["figure"] == pytest.approx(0.5)
    assert behind["verdict"] == "not measured yet"
    assert claim_document(trained)["interval"][0] < 0.99 < claim_document(trained)["interval"][1]


def test_a_student_of_a_teacher_that_earns_nothing_proves_nothing(story: Story) -> None:
    teacher = story.add(RunKind.TEACHER, seed=1)
    collection = story.add(RunKind.COLLECTION, seed=1, inputs=(teacher,))
    student = story.add(RunKind.STUDENT, seed=1, inputs=(collection,))
    story.judge({teacher: (-3.0, -3.0), student: (-3.0, -3.0)})
    evidence = read_evidence(story.database)
    assert evidence.with_mutants == evidence.without_mutants == ()
    found = {each.name: each for each in claims(evidence, RATIOS, MACS)}
    for name in (KEPT, "student = teacher, unseen", MUTANTS):
        assert found[name].here == "teacher earns about 0"
        assert found[name].reason.startswith(f"evaluation {student + 1} exists, but its teacher ")
        assert found[name].reason.endswith(" earns about nothing")
    # With mutants one counts; what has none is told, not denied.
    story.pipeline(2, 0.9, 0.8)
    raw: dict[str, Any] = {"network": {"context": "raw"}}
    bare = story.pipeline(3, 0.9, 0.8, mutants=False, student=raw)
    words = f"evaluation {bare + 1} exists, but its student {bare} read raw contexts"
    assert (story.claim(MUTANTS).here, story.claim(MUTANTS).reason) == ("not as published", words)


KEPT, MUTANTS = "student = teacher, trained", "mutants help unseen robots"
BEHIND = "HN by RL behind distilled"
ABLATIONS: list[tuple[dict[str, dict[str, Any]], str]] = [
    ({"student": {"network": {"context": "raw"}}}, "its student {} read raw contexts"),
    (
        {"student": {"network": {"kind": "transformer"}}},
        "its student {} has network.kind transformer, not hypernetwork",
    ),
    ({"student": {"correction_rounds": 3}}, "its student {} has correction_rounds 3, not 0"),
    ({"student": {"network": {"dropout": 0.0}}}, "its student {} has network.dropout 0, not 0.1"),
    ({"evaluation": {"deterministic": False}}, "it sampled its actions"),
    ({"collection": {"stochastic": False}}, "its collection {c} took mean actions"),
    (
        {"teacher": {"network": {"kind": "modumorph"}}},
        "its teacher {t} has network.kind modumorph, not transformer",
    ),
    (
        {"evaluation": {"task": {"name": "incline"}}},
        "its robots ran on another ground than its teacher learned on",
    ),
    (
        {"evaluation": {"task": {"episode_steps": 100}}},
        "it has task.episode_steps 100, not 1000",
    ),
]


@pytest.mark.parametrize(("settings", "why"), ABLATIONS)
def test_an_ablation_judged_last_takes_no_claim_over_and_is_told_where_it_is_alone(
    story: Story, settings: dict[str, dict[str, Any]], why: str
) -> None:
    student = story.pipeline(1, 0.77, 0.7, **settings)
    alone = story.claim(KEPT)
    assert (alone.here, alone.verdict) == ("not as published", Verdict.NOT_MEASURED)
    words = why.format(student, t=student - 3, c=student - 1)
    assert alone.reason == f"evaluation {student + 1} exists, but {words}"
    published = [story.pipeline(seed, 0.88, 0.8) + 1 for seed in (1, 2, 3)]
    for seed in (4, 5, 6, 7):
        story.pipeline(seed, 0.77, 0.7, **settings)
    assert story.claim(KEPT).runs == tuple(published)
    assert story.claim(KEPT).figures == (pytest.approx(0.88),) * 3


STUDY_RETURNS = {
    "network=reinforced": 500.0,
    "network=distilled": 950.0,
    "network=transformer": 951.0,
}


def studied(story: Story, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Plan:
    """``rl-against-distilled`` with made-up returns on the training robots, as if it had run."""
    for module in (running, commands):
        monkeypatch.setattr(module, "ensure_supervisor", lambda database: None)
    sets = {"training": "training", "unseen": "unseen"}
    study = load_study("rl-against-distilled", {"robots": sets, "seeds": 5, **changes})
    plan, _ = running.run_study(story.database, study)
    for run in plan.runs.values():
        steps = {"done": 1e6, "total": 1e6} if run.kind is RunKind.TEACHER else {}
        story.change(run.id, state="finished", versions={"hdtui": current_version()}, **steps)
    for cell in plan.graph.cells:
        evaluation, policy = plan.runs[cell.evaluation], plan.runs[cell.judged]
        sign = (-1) ** cell.seed if cell.combination.label == "network=distilled" else 1
        mean = STUDY_RETURNS[cell.combination.label] + sign * cell.seed
        episodes = [
            Episode("policy", robot.digest, "flat", 1, 0, mean, 1000, False, 1.0, 1.0, 1.0)
            for robot in story.robots
        ]
        record_episodes(story.database, evaluation.id, episodes)
        with story.database.write() as session:
            set_policies(session, evaluation.id, {"policy": policy.id})
    return plan


def test_a_studys_verdict_is_the_claims_and_an_ablation_never_is(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = {"settings": {"student.network.context": "raw"}, "name": "raw"}
    studied(story, monkeypatch, **raw)
    alone = story.claim("HN by RL behind distilled")
    assert (alone.verdict, alone.here) == (Verdict.NOT_MEASURED, "not as published")
    assert alone.reason.startswith("study raw asks this, but its student ")
    plan = studied(story, monkeypatch)
    behind = story.claim("HN by RL behind distilled")
    assert (behind.verdict, behind.study) == (Verdict.REPRODUCED, "rl-against-distilled")
    assert behind.figures == (pytest.approx(503.0 / 949.4),)
    assert set(behind.runs) <= {run.id for run in plan.runs.values()}
    kept = story.claim(KEPT)
    assert (kept.verdict, kept.study) == (Verdict.REPRODUCED, "rl-against-distilled")
    assert kept.here.endswith(" n 5")
    assert claim_document(kept)["study"] == "rl-against-distilled"
    assert story.claim("student = teacher, unseen").study == ""


def test_what_was_not_evaluated_or_not_finished_is_told(story: Story) -> None:
    assert (story.claim(KEPT).here, story.claim(KEPT).reason) == ("no run", "")
    student = story.add(RunKind.STUDENT, seed=1)
    assert story.claim(KEPT).here == "not evaluated"
    assert (
        story.claim(KEPT).reason == f"student {student} is evaluated beside no teacher of its own"
    )
    student = story.pipeline(1, 0.9, 0.8)
    story.change(student - 3, state="stopped", done=5e5, total=1e6)
    reason = f"evaluation {student + 1} exists, but its teacher {student - 3}"
    assert story.claim(KEPT).reason == f"{reason} is stopped"
    story.change(student - 3, state="finished")
    assert story.claim(KEPT).reason == f"{reason} made 500k of 1.0M steps"
    story.change(student - 3, done=1e6)
    assert story.claim(KEPT).figures == (pytest.approx(0.9),)
    bare = story.pipeline(9, 0.9, 0.8, mutants=False)
    archive(story.database, student + 1, archived=True)
    words = f"evaluation {bare + 1} exists, but its student {bare} learned from no mutants"
    assert story.claim(KEPT).reason == words


def test_claims_compare_equal_budgets_alone(story: Story) -> None:
    for seed in (1, 2, 3):
        story.change(story.pipeline(seed, 0.99, 0.9), done=5200.0)
        bare = story.pipeline(seed, 0.99, 0.2, mutants=False)
        story.change(bare, done=520.0)
    claim = story.claim(MUTANTS)
    assert (claim.here, claim.verdict) == ("unequal budgets", Verdict.NOT_MEASURED)
    assert claim.reason == (
        f"evaluation {bare + 1} exists, but with and without mutants budgets are unequal:"
        " gradient steps 5 200 against 520"
    )
    for seed in (1, 2, 3):
        again = story.pipeline(seed, 0.99, 0.3, mutants=False, student={"epochs": 100})
        story.change(again, done=5200.0)
    assert story.claim(MUTANTS).figures == (pytest.approx(0.6),)
    network = {"kind": "hypernetwork"}
    student = story.pipeline(9, 1.0, 1.0)
    short = story.add(RunKind.TEACHER, seed=1, network=network, total_env_steps=1_000_000)
    assert story.claim(BEHIND).here == "not evaluated"
    evaluation = story.judge({short: (500.0, 100.0), student: (1000.0, 500.0)})
    assert story.claim(BEHIND).reason == (
        f"evaluation {evaluation} exists, but teacher {short} had 1,000,000 control steps, the"
        " student's 2,000,000"
    )
    equal = story.add(RunKind.TEACHER, seed=1, network=network)
    story.judge({equal: (500.0, 100.0), student: (1000.0, 500.0)})
    assert story.claim(BEHIND).figures == (pytest.approx(0.5),)


def test_two_runs_of_one_seed_are_one_seed(story: Story) -> None:
    for _ in range(3):
        story.pipeline(1, 0.99, 0.9)
    assert story.claim(KEPT).here.endswith("n 1, needs 3")


def test_networks_of_runs_are_asked_for_by_number(story: Story) -> None:
    network = {"kind": "transformer", "width": 32}
    teacher = story.add(RunKind.TEACHER, seed=1, network=network, task={"name": "flat"})
    collection = story.add(RunKind.COLLECTION, seed=1)
    options = {"limbs": None, "latency": False, "scaling": False}
    asked = cost_question(story.database, [f"{teacher},mlp"], "flat", **options)
    assert asked["policies"] == ["mlp"]
    assert asked["own"][f"transformer of {teacher}"]["width"] == 32
    for words, task in (([str(collection)], "flat"), ([str(teacher)], "variable")):
        with pytest.raises(UsageError):
            cost_question(story.database, words, task, **options)
    ground = {"name": "variable"}
    own = {"network": {"kind": "hypernetwork"}}
    terrain = story.add(RunKind.COLLECTION, seed=1, task=ground)
    student = story.add(RunKind.STUDENT, seed=1, inputs=(terrain,), **own)
    with pytest.raises(UsageError, match="acts on variable, not on flat"):
        cost_question(story.database, [str(student)], "flat", **options)
    assert cost_question(story.database, [str(student)], "variable", **options)["own"]
    with pytest.raises(UsageError):
        cost_question(None, ["1"], "flat", **options)
    with pytest.raises(UsageError):
        cost_question(None, [], "flat", limbs=5, latency=False, scaling=True)


def test_curves_hold_ratios_to_the_base_mlp_of_as_many_limbs() -> None:
    rows = [
        {"policy": policy, "limbs": limbs, "parameters": scale * limbs, "macs": scale**2 * limbs}
        for limbs in (2, 3)
        for policy, scale in (("transformer", 6), ("base-mlp", 2))
    ]
    found = cost_curves(rows)
    assert found["transformer"]["limbs"] == [2, 3]
    assert found["transformer"]["parameters_ratio"] == [3.0, 3.0]
    assert found["transformer"]["macs_ratio"] == [9.0, 9.0]
    answer = {"tasks": {"flat": {"ratios": {"transformer": {"macs": 7.0}}}}}
    assert headline_ratios(answer, "macs") == {"flat": 7.0}
