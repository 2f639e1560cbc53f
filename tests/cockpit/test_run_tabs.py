"""The tabs of a run that is no teacher: where it opens, robots, files, names; answers that end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cockpit_pilot import opened, shows, text, until
from cockpit_story import add_library, change, finish, new_run
from database_rows import record_episodes

from db.models import ArtifactRow
from db.queries.evaluations import set_policies
from db.queries.metrics import NewPoint, append_points
from db.queries.runs import get_run, queue_run
from db.records import Artifact, RunKind
from db.session import Database
from engine.events import Episode
from hdtui.actions import runs
from hdtui.data.compare_curves import ComparedRuns, grouped
from hdtui.data.metric_names import short_label
from hdtui.data.run_details import (
    RECORDING,
    RunFiles,
    default_tab,
    is_in_state,
    read_robot_returns,
)
from hdtui.messages import Answer
from hdtui.screens.run.curve_rows import no_points_sentence, x_text
from hdtui.screens.run.files import file_rows
from hdtui.screens.run.robot_rows import no_robots_sentence
from hdtui.screens.run.screen import RunScreen

Filled = tuple[Path, dict[str, int]]


def made(database: Database, kind: RunKind, *inputs: int) -> int:
    """A finished run of a kind."""
    run_id = queue_run(database, new_run(kind, f"{kind}-s1", None, *inputs)).id
    finish(database, run_id, 60, 1.0, "done")
    return run_id


def evaluated(database: Database, teacher: int, student: int) -> int:
    """An evaluation of a teacher and its student on two robots."""
    run_id = made(database, RunKind.EVALUATION, teacher, student)
    episodes = [
        Episode(policy, f"{robot:064x}", "flat", 7, number, value, 9, robot == 1, 1.0, 1.0, 1.0)
        for policy, mean in (("teacher", 1500.0), ("student", 1200.0))
        for robot in (0, 1)
        for number, value in enumerate((mean - 100 * robot - 5, mean - 100 * robot + 5))
    ]
    record_episodes(database, run_id, episodes)
    with database.write() as session:
        set_policies(session, run_id, {"teacher": teacher, "student": student})
    return run_id


@pytest.fixture
def database(tmp_path: Path) -> Database:
    found = Database.open(tmp_path)
    add_library(found)
    return found


def keep_file(database: Database, run_id: int) -> None:
    """Write an artifact of a run down."""
    with database.write() as session:
        session.add(
            ArtifactRow(
                run_id=run_id,
                attempt=1,
                kind="student",
                name="student",
                path="runs/x",
                sha256="0" * 64,
                size_bytes=1,
                created_at=datetime.now(UTC),
            )
        )


def test_a_run_opens_where_it_has_something_to_show(database: Database) -> None:
    teacher, student = made(database, RunKind.TEACHER), made(database, RunKind.STUDENT)
    mutation, deployment = made(database, RunKind.MUTATION), made(database, RunKind.DEPLOYMENT)
    keep_file(database, deployment)
    keep_file(database, student)
    with database.write() as session:
        append_points(session, teacher, [NewPoint("return", "", 1, 1, 1.0, 9.0)])
    evaluation = evaluated(database, teacher, student)
    tabs = [default_tab(database, i) for i in (teacher, student, mutation, deployment, evaluation)]
    assert tabs == ["Curves", "Files", "Log", "Files", "Robots"]
    waiting = queue_run(database, new_run(RunKind.TEACHER, "waits", None)).id
    assert default_tab(database, waiting) == "Curves"


def test_an_evaluation_has_returns_of_every_policy_by_robot(database: Database) -> None:
    teacher, student = made(database, RunKind.TEACHER), made(database, RunKind.STUDENT)
    facts = read_robot_returns(database, evaluated(database, teacher, student))
    assert facts.policies == ("teacher", "student")
    assert [robot.by_policy["student"].mean for robot in facts.robots] == [1200.0, 1100.0]
    assert [robot.by_policy["teacher"].falls for robot in facts.robots] == [0.0, 1.0]
    assert facts.robots[0].episode_return == 1200.0
    assert facts.robots[0].by_policy["teacher"].episodes == 2


def test_a_student_says_where_its_returns_by_robot_are(database: Database) -> None:
    teacher, student = made(database, RunKind.TEACHER), made(database, RunKind.STUDENT)
    with database.write() as session:
        append_points(session, student, [NewPoint("correction_return", "0" * 64, 1, 1, 1.0, 9.0)])
    unjudged = read_robot_returns(database, student)
    assert unjudged.robots == ()
    assert no_robots_sentence(unjudged, ended=True).endswith("evaluations do: e asks for one.")
    evaluation = evaluated(database, teacher, student)
    judged = read_robot_returns(database, student)
    assert no_robots_sentence(judged, ended=True).endswith(f"evaluations do: {evaluation}.")


async def test_an_evaluation_opens_on_its_robots(filled: Filled) -> None:
    home, ids = filled
    evaluation = evaluated(Database.open(home), ids["old teacher"], ids["student"])
    async with opened(home) as pilot:
        pilot.app.push_screen(RunScreen(pilot.app.cockpit, evaluation))  # type: ignore[attr-defined]
        shown = await shows(pilot, "[Robots]", "Return by robot · 2", "1 500 ± 64", "1 200 ± 64")
        assert "yet" not in shown
        assert "student return ↓" in shown


def test_recordings_are_called_after_their_robots_and_come_last() -> None:
    when = datetime(2026, 11, 25, tzinfo=UTC)
    names = [(RECORDING, f"{policy}:{robot}:flat:0") for robot in "ba" for policy in ("t", "s")]
    artifacts = [
        Artifact(place, 1, 1, kind, name, f"runs/1/{place}", "0" * 64, 1, when)
        for place, (kind, name) in enumerate([*names, ("evaluation", "evaluation")])
    ]
    facts = RunFiles(Path(), (), tuple(artifacts), {"a": "vt-1", "b": "floor-9"})
    shown = [row.name for row in file_rows(facts)]
    assert shown == ["evaluation", "s floor-9", "t floor-9", "s vt-1", "t vt-1"]


def test_names_of_metrics_stay_whole_in_a_narrow_list() -> None:
    assert short_label("student.interquartile_mean_return", 14) == "student IQM"
    assert short_label("teacher.mean_return", 14) == "teacher return"
    assert short_label("held_out_sample_loss", 20) == "held-out samples"
    assert short_label("held_out_sample_loss", 40) == "loss, held-out samples"
    assert short_label("student.difference", 17) == "difference"


def test_steps_are_called_by_what_they_count(database: Database) -> None:
    student = get_run(database, made(database, RunKind.STUDENT))
    assert x_text("steps", student) == "gradient steps"
    assert x_text("wall time", student) == "wall time"
    mutation = get_run(database, made(database, RunKind.MUTATION))
    assert no_points_sentence(mutation.id, mutation) == "A mutation has no curves."


def test_groups_under_one_name_are_told_apart(database: Database) -> None:
    runs = []
    for rounds in (0, 3):
        new = new_run(RunKind.STUDENT, "9-s1", None)
        config = {**new.config, "rounds": rounds}
        runs.append(get_run(database, queue_run(database, replace(new, config=config)).id))
    titles = [group.title for group in grouped(ComparedRuns(tuple(runs), (), "", ()), "config")]
    assert titles == [
        f"{runs[0].id} student 9 · rounds 0",
        f"{runs[1].id} student 9 · rounds 3",
    ]


def test_an_answer_about_a_run_is_true_until_the_run_moves_on(database: Database) -> None:
    run_id = queue_run(database, new_run(RunKind.TEACHER, "quick", None)).id
    change(database, run_id, state="finished")
    said = runs.resume(database, run_id)
    assert (said.text, said.run_id, said.state) == (
        f"R: {run_id} is finished, C clones it",
        run_id,
        "finished",
    )
    change(database, run_id, state="queued")
    assert is_in_state(database, run_id, "queued")
    change(database, run_id, state="running")
    assert not is_in_state(database, run_id, "queued")


async def test_an_answer_ends_with_its_tab_and_with_its_screen(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, ids = filled
    monkeypatch.setattr("hdtui.screens.shell.CLAIM_STANDS_S", 0.0)
    async with opened(home) as pilot:
        pilot.app.push_screen(RunScreen(pilot.app.cockpit, ids["old teacher"]))  # type: ignore[attr-defined]
        await shows(pilot, "[Curves]", "┤")
        await pilot.press("v")
        await shows(pilot, "v: no key of this screen")
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "no key of this screen" not in text(pilot))
        await pilot.press("z")
        await shows(pilot, "z: no key of this screen")
        await pilot.press("3")
        await pilot.press("2")
        await shows(pilot, "[2 Runs]")
        await until(pilot, lambda: "no key of this screen" not in text(pilot))
        teacher = ids["old teacher"]
        said = Answer(f"{teacher} teacher is queued", run_id=teacher, state="queued")
        pilot.app.screen.give(said)  # type: ignore[attr-defined]
        await until(pilot, lambda: "is queued" not in text(pilot))


async def test_a_stalled_runs_sentence_does_not_take_the_place_of_an_answer(filled: Filled) -> None:
    home, ids = filled
    database = Database.open(home)
    silent = datetime.now(UTC) - timedelta(minutes=10)
    change(database, ids["teacher"], reported_at=silent)
    async with opened(home) as pilot:
        await until(pilot, lambda: pilot.app.screen.active.keys)
        await pilot.press("enter", "right_square_bracket", "left_square_bracket")
        await shows(pilot, "[Curves]", "is alive, last report 10m")
        screen = pilot.app.screen
        await pilot.press("m")
        answer = (await shows(pilot, "smooth 0")).splitlines()[-2]
        assert "is alive" not in answer
        assert screen.view is not None
        screen.show_run(screen.view)
        await pilot.pause()
        assert text(pilot).splitlines()[-2] == answer
        screen.say("")
        screen.show_run(screen.view)
        await shows(pilot, "is alive, last report 10m")
        await pilot.press("m")
        await shows(pilot, "smooth 0.9")
        change(database, ids["teacher"], state="lost", ended_at=datetime.now(UTC))
        await shows(pilot, "is gone and left no exit record")
    database.close()
