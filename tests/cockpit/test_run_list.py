"""The list of runs knows every metric before anybody asks for one, and what evaluations say."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cockpit_story import add_library, change
from database_rows import record_episodes

from db.queries.evaluations import set_policies
from db.queries.metrics import NewPoint, append_points
from db.queries.robots import add_robots, create_set
from db.queries.runs import archive, queue_run
from db.records import NewRobot, NewRun, RunKind
from db.session import Database
from engine.events import Episode
from hdtui.data.run_filters import parse_filter
from hdtui.data.run_list import (
    RunList,
    RunsReader,
    best_sentence,
    descends_first,
    field_value,
    passing,
    sorted_runs,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_metrics_filter_and_sort_without_having_been_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HDTUI_DATABASE_URL", raising=False)
    database = Database.open(tmp_path)
    losses = {}
    for loss in (0.5, 0.25, 0.75):
        run = queue_run(database, NewRun(RunKind.TEACHER, f"loss {loss}", {}, seed=1))
        losses[run.id] = loss
        points = [
            NewPoint("value_loss", "", 1, 1, 1.0, loss),
            NewPoint("value_loss", "d" * 64, 1, 1, 1.0, 9.0),
        ]
        with database.write() as session:
            append_points(session, run.id, points)
    queue_run(database, NewRun(RunKind.TEACHER, "reports nothing", {}, seed=1))
    reader = RunsReader()
    facts = reader.read(database, NOW, False)
    assert "value_loss" in facts.fields
    ordered = sorted_runs(facts, facts.views, "value_loss", descending=False)
    assert [losses.get(each.run.id) for each in ordered] == [0.25, 0.5, 0.75, None]
    low = passing(facts, parse_filter("value_loss<0.6", facts.fields))
    assert {losses[each.run.id] for each in low} == {0.25, 0.5}
    with database.write() as session:
        append_points(session, 1, [NewPoint("value_loss", "", 2, 2, 2.0, 0.1)])
    again = reader.read(database, NOW, False)
    assert again.metrics[1] == {"value_loss": 0.1}
    database.close()


TRAINED, UNSEEN = f"{0:064x}", f"{99:064x}"


def queue(database: Database, kind: RunKind, *inputs: int, **facts: object) -> int:
    """A finished run on the set ``unimal8``."""
    new = NewRun(kind, str(kind), {"seed": 1}, seed=1, inputs=inputs, robot_sets=("unimal8",))
    run = queue_run(database, new)
    return change(database, run.id, state="finished", attempt=1, **facts).id


def judge(
    database: Database,
    returns: dict[int, tuple[float, float]],
    config: dict[str, object] | None = None,
    *,
    episodes: int = 2,
    spread: float = 5.0,
) -> int:
    """An evaluation with the returns of policies on a trained robot and on an unseen one."""
    evaluation = queue(database, RunKind.EVALUATION, *returns, result=0.9, result_kind="ratio")
    change(database, evaluation, config={"seed": 1, **(config or {})})
    written = [
        Episode(str(run_id), digest, "flat", 7, number, value, 9, False, 1.0, 1.0, 1.0)
        for run_id, values in returns.items()
        for digest, mean in zip((TRAINED, UNSEEN), values, strict=True)
        for number, value in enumerate((mean - spread, mean + spread, mean)[:episodes])
    ]
    record_episodes(database, evaluation, written)
    with database.write() as session:
        set_policies(session, evaluation, {str(run_id): run_id for run_id in returns})
    return evaluation


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Database, int, int, int]:
    """A teacher and two students with losses; the first one was judged, the second never."""
    database = Database.open(tmp_path)
    add_library(database)
    other = NewRobot(UNSEEN, "other", "unimal", 5, 8, 20.0, 0.5, f"robots/{UNSEEN}.xml")
    create_set(database, "others", [(add_robots(database, [other])[0].id, "unseen")])
    teacher = queue(database, RunKind.TEACHER, result=1000.0, result_kind="sampled_return")
    student = queue(database, RunKind.STUDENT, teacher, result=0.04, result_kind="loss")
    worse = queue(database, RunKind.STUDENT, teacher, result=0.9, result_kind="loss")
    return database, teacher, student, worse


def read(database: Database) -> RunList:
    """The list as a reader sees it that opens it now."""
    return RunsReader().read(database, NOW, False)


def values(facts: RunList, name: str) -> dict[int, object]:
    """What the runs have in a field."""
    return {each.run.id: field_value(facts, each, name) for each in facts.views}


def test_a_return_is_never_a_loss_or_a_ratio(judged: tuple[Database, int, int, int]) -> None:
    database, teacher, student, worse = judged
    # What a teacher earns with sampled actions while it learns has a column of its own.
    assert values(read(database), "return") == {teacher: None, student: None, worse: None}
    assert values(read(database), "training") == {teacher: 1000.0, student: None, worse: None}
    evaluation = judge(database, {teacher: (1000.0, 400.0), student: (900.0, 500.0)})
    facts = read(database)
    expected = {teacher: 1000.0, student: 900.0, worse: None, evaluation: None}
    assert values(facts, "return") == expected
    assert values(facts, "ratio") == {
        **dict.fromkeys(expected, None), student: pytest.approx(0.9)
    }  # fmt: skip
    assert values(facts, "unseen") == {
        **dict.fromkeys(expected, None), teacher: 400.0, student: 500.0
    }  # fmt: skip
    assert values(facts, "result")[worse] == 0.9
    best = sorted_runs(facts, passing(facts, parse_filter("kind:student", facts.fields)), "return",
                       descending=True)  # fmt: skip
    assert [each.run.id for each in best] == [student, worse]
    assert best_sentence(facts, 0) == (
        "4 runs do not pass; the best return of 2 evaluated alike is 1 000"
    )


def test_the_newest_evaluation_that_is_not_archived_tells_the_return(
    judged: tuple[Database, int, int, int],
) -> None:
    database, teacher, student, _ = judged
    reader = RunsReader()
    judge(database, {teacher: (1000.0, 400.0), student: (900.0, 500.0)})
    assert values(reader.read(database, NOW, False), "return")[student] == 900.0
    newest = judge(database, {student: (700.0, 300.0)})
    facts = reader.read(database, NOW, False)
    assert values(facts, "return")[student] == 700.0
    assert values(facts, "ratio")[student] == pytest.approx(0.9)  # no teacher beside it there
    archive(database, newest, archived=True)
    assert values(reader.read(database, NOW, False), "return")[student] == 900.0


def test_what_a_student_measured_itself_stands_in_no_column_of_evaluations(
    judged: tuple[Database, int, int, int],
) -> None:
    database, teacher, student, worse = judged
    with database.write() as session:
        append_points(session, student, [NewPoint("return_train", "", 1, 1, 1.0, 640.0)])
    facts = read(database)
    assert values(facts, "return")[student] is None
    assert values(facts, "return_train") == {teacher: None, student: 640.0, worse: None}


def test_a_column_holds_returns_of_the_same_robots_task_actions_and_episodes_alone(
    judged: tuple[Database, int, int, int],
) -> None:
    database, teacher, student, worse = judged
    judge(database, {teacher: (1000.0, 400.0), student: (900.0, 500.0)})
    sampled = judge(database, {worse: (2000.0, 700.0)}, {"deterministic": False})
    longer = judge(database, {worse: (3000.0, 800.0)}, episodes=3)
    other = judge(
        database, {worse: (4000.0, 900.0)}, {"task": {"name": "flat", "episode_steps": 9}}
    )
    facts = read(database)
    assert values(facts, "return")[student] == 900.0
    assert values(facts, "return")[worse] is values(facts, "unseen")[worse] is None
    students = passing(facts, parse_filter("kind:student", facts.fields))
    best = sorted_runs(facts, students, "return", descending=True)
    assert [each.run.id for each in best] == [student, worse]
    # A filter compares a run with a number: there its own newest value counts.
    high = passing(facts, parse_filter("return>2500", facts.fields))
    assert [each.run.id for each in high] == [worse]
    running = passing(facts, parse_filter("kind:teacher return>900", facts.fields))
    assert [each.run.id for each in running] == [teacher]
    assert facts.bases["return"].words == "1 robot, 2 episodes each, flat, mean actions"
    for evaluation in (other, longer, sampled):
        pinned = RunsReader().read(database, NOW, False, pinned=worse)
        assert values(pinned, "return")[worse] in (2000.0, 3000.0, 4000.0)
        assert values(pinned, "return")[student] is None
        archive(database, evaluation, archived=True)


def test_training_returns_stand_beside_those_on_the_same_robots_alone(
    judged: tuple[Database, int, int, int],
) -> None:
    database, teacher, _, _ = judged
    more = queue(database, RunKind.TEACHER, result=800.0, result_kind="sampled_return")
    new = NewRun(RunKind.TEACHER, "else", {"seed": 1}, seed=1, robot_sets=("others",))
    apart = queue_run(database, new).id
    change(database, apart, state="finished", result=9000.0, result_kind="sampled_return")
    facts = read(database)
    found = values(facts, "training")
    assert (found[teacher], found[more], found[apart]) == (1000.0, 800.0, None)
    assert facts.bases["training"].words == "on unimal8, sampled actions"


def test_no_ratio_is_made_where_the_teacher_earns_about_nothing(
    judged: tuple[Database, int, int, int],
) -> None:
    database, teacher, student, _ = judged
    for earned in (3.0, -40.0, 9.5):
        judge(database, {teacher: (earned, 1.0), student: (-3.81 * earned, 1.0)}, spread=0.01)
        assert values(read(database), "ratio")[student] is None
    judge(database, {teacher: (60.0, 1.0), student: (90.0, 1.0)}, spread=50.0)
    assert values(read(database), "ratio")[student] is None  # it may be luck
    judge(database, {teacher: (60.0, 1.0), student: (90.0, 1.0)}, spread=0.5)
    assert values(read(database), "ratio")[student] == pytest.approx(1.5)


def test_reading_again_asks_nothing_about_evaluations_that_are_known(
    judged: tuple[Database, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, teacher, student, _ = judged
    reader = RunsReader()
    judge(database, {teacher: (1000.0, 400.0), student: (900.0, 500.0)})
    reader.read(database, NOW, False)
    monkeypatch.setattr("hdtui.data.run_list.summaries", None)
    assert values(reader.read(database, NOW, False), "return")[student] == 900.0


def test_no_field_is_offered_twice(judged: tuple[Database, int, int, int]) -> None:
    database, teacher, _, _ = judged
    with database.write() as session:
        append_points(session, teacher, [NewPoint("return", "", 1, 1, 1.0, 1000.0)])
    fields = read(database).fields
    assert len(fields) == len({*fields})
    assert {"return", "ratio", "unseen", "seed"} <= {*fields}


@pytest.mark.parametrize(
    ("key", "descends"),
    [
        *(("return", True), ("took", True), ("value_loss", False), ("approximate_kl", False)),
        *(("name", False), ("ppo.learning_rate", True)),
    ],
)
def test_sorting_begins_with_what_is_best(key: str, descends: bool) -> None:
    assert descends_first([], key) is descends


def test_results_of_students_alone_begin_with_the_lowest_loss(
    judged: tuple[Database, int, int, int],
) -> None:
    facts = read(judged[0])
    students = passing(facts, parse_filter("kind:student", facts.fields))
    assert not descends_first(students, "result")
    assert descends_first(facts.views, "result")
