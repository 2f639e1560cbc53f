"""What the screens of robots read and command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from library import add_episodes, add_film, add_robots, add_run, walking

from db.records import EpisodeSummary, RunKind
from db.session import Database
from engine.errors import DatasetError, UsageError
from engine.morphology.mutation import mutants
from engine.morphology.poses import (
    encode_poses,
    load_poses,
    parse_recording_name,
    recording_name,
)
from engine.morphology.tree import Morphology
from hdtui.actions.evaluate import (
    EvaluationRequest,
    command_text,
    estimate_text,
    queue_evaluation,
    read_choices,
)
from hdtui.data.cockpit import Cockpit
from hdtui.data.player import FrameRate, Player
from hdtui.data.robots import (
    FIELDS,
    choose_policies,
    passing,
    read_robot,
    read_robots,
    sorted_entries,
)
from hdtui.data.run_filters import parse_filter
from hdtui.data.watch import (
    Film,
    RecordedEpisodes,
    Recording,
    _seed_in,
    list_recordings,
    load_film,
)


@pytest.fixture
def database(workspace: Path) -> Database:
    return Database.open(workspace)


def test_the_columns_hold_the_means_of_the_latest_evaluation(
    database: Database, robots: list[Morphology]
) -> None:
    facts = read_robots(database, "six", None)
    assert (facts.teacher_id, facts.student_id) == (1, 2)
    by_digest = {entry.robot.digest: entry for entry in facts.entries}
    first = by_digest[robots[0].digest]
    assert first.teacher is not None
    assert first.teacher.mean == pytest.approx(1000)
    assert first.teacher.half_width == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    assert first.ratio == pytest.approx(0.9)
    assert by_digest[robots[5].digest].teacher is None
    assert first.robot.num_limbs_without_head == robots[0].num_limbs - 1


def test_robots_without_a_value_sort_last_either_way(database: Database) -> None:
    entries = read_robots(database, "six", None).entries
    for descending in (True, False):
        ordered = sorted_entries(entries, "teacher", descending)
        values = [entry.teacher.mean if entry.teacher else None for entry in ordered]
        assert values[4:] == [None, None]
        known = [value for value in values if value is not None]
        assert known == sorted(known, reverse=descending)


def test_filters_look_at_bodies_and_returns(database: Database) -> None:
    facts = read_robots(database, "six", None)
    assert len(passing(facts, parse_filter("teacher>1500", FIELDS))) == 3
    assert len(passing(facts, parse_filter("student/teacher>=0.9", FIELDS))) == 4
    assert len(passing(facts, parse_filter("limbs>=1 set:six", FIELDS))) == 6
    assert passing(facts, parse_filter("limbs>40", FIELDS)) == []


def summary(run_id: int, policy_run_id: int) -> EpisodeSummary:
    return EpisodeSummary(run_id, "p", policy_run_id, "d", "flat", 4, 1.0, 0.0, 0.0, 10.0, 1.0)


def test_the_pinned_policy_stands_in_its_column_and_a_teacher_beside_its_student() -> None:
    kinds = {
        1: RunKind.TEACHER,
        2: RunKind.STUDENT,
        5: RunKind.TEACHER,
        6: RunKind.STUDENT,
    }
    found = [summary(3, 1), summary(3, 2), summary(8, 5)]
    assert choose_policies(found, kinds, []) == (1, 2)
    assert choose_policies(found, kinds, [5]) == (5, 2)
    assert choose_policies([*found, summary(9, 6)], kinds, [2]) == (1, 2)
    assert choose_policies([], {}, []) == (None, None)


def test_a_mutant_knows_its_parent_and_the_parent_its_mutants(
    database: Database, robots: list[Morphology]
) -> None:
    mutant = mutants([robots[0]], 1, 7)[0]
    add_robots(database, [mutant], "mutants")
    detail = read_robot(database, database.home, mutant.digest)
    assert [each.digest for each in detail.ancestors] == [robots[0].digest]
    assert detail.robot.operations
    parent = read_robot(database, database.home, robots[0].digest)
    assert [each.digest for each in parent.children] == [mutant.digest]
    assert parent.trained_by == (1,)
    assert parent.body is not None
    assert parent.body.digest == robots[0].digest


def test_a_robot_whose_file_is_gone_says_so_and_draws_nothing(
    database: Database, robots: list[Morphology]
) -> None:
    robot = read_robot(database, database.home, robots[1].digest).robot
    (database.home / robot.path).unlink()
    detail = read_robot(database, database.home, robots[1].digest)
    assert detail.poses is None
    assert robot.name in detail.problem


def test_recordings_stand_teacher_first_on_the_same_robot_and_episode(
    database: Database, robots: list[Morphology]
) -> None:
    recordings = list_recordings(database, database.home)
    assert recordings.robots() == [robots[0].digest]
    pair = recordings.pairs(robots[0].digest)[0]
    assert [each.policy for each in pair] == ["teacher", "student"]
    assert recordings.of_run(2).robots() == [robots[0].digest]
    assert recordings.of_run(99).robots() == []


def test_a_changed_file_is_not_played(database: Database, robots: list[Morphology]) -> None:
    recording = list_recordings(database, database.home).episodes[0]
    recording.path.write_bytes(recording.path.read_bytes()[:-1] + b"\x00\x01")
    with pytest.raises(DatasetError, match="does not match its SHA-256; not played"):
        load_film(recording)
    recording.path.unlink()
    with pytest.raises(DatasetError, match="not played"):
        load_film(recording)


def film(robot: Morphology, **options: object) -> Film:
    recording = Recording(3, "teacher", robot.digest, robot.name, "flat", 0, Path("x"), "")
    return Film(recording, walking(robot, **options))  # type: ignore[arg-type]


def test_a_film_adds_up_rewards_and_measures_speed(robots: list[Morphology]) -> None:
    played = film(robots[0], steps=200, speed_m_s=2.0)
    assert played.duration_s == pytest.approx(4.0)
    assert played.moment_at(1.0) == 50
    assert played.moment_at(99.0) == 199
    assert played.returns[49] == pytest.approx(100.0)
    assert played.speeds_m_s[100] == pytest.approx(2.0, rel=1e-4)


def test_a_robot_that_fell_stays_down(robots: list[Morphology]) -> None:
    played = film(robots[0], steps=100, terminated=True)
    assert not played.fell_before(1.9)
    assert played.fell_before(2.0)
    assert not film(robots[0], steps=100).fell_before(2.0)


def test_poses_survive_their_file(tmp_path: Path, robots: list[Morphology]) -> None:
    poses = walking(robots[0], heights=np.linspace(0, 1, 20))
    (tmp_path / "poses.safetensors").write_bytes(encode_poses(poses))
    loaded = load_poses(tmp_path / "poses.safetensors")
    assert loaded.header == poses.header
    for name in ("position", "axis", "radius", "half_length", "limb", "pair", "heights"):
        assert (getattr(loaded, name) == getattr(poses, name)).all()


def test_files_that_are_no_poses_are_refused(tmp_path: Path, robots: list[Morphology]) -> None:
    path = tmp_path / "poses.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_poses(path)
    poses = walking(robots[0])
    path.write_bytes(encode_poses(replace(poses, radius=poses.radius[1:])))
    with pytest.raises(DatasetError, match="radius has shape"):
        load_poses(path)


def test_the_name_of_a_recording_says_whose_it_is() -> None:
    name = recording_name("teacher 4", "abc", "flat", 3)
    assert parse_recording_name(name) == ("teacher 4", "abc", "flat", 3)
    with pytest.raises(DatasetError, match="does not name"):
        parse_recording_name("poses")


def test_a_player_keeps_time_and_starts_again_at_its_end() -> None:
    player = Player()
    player.start(10.0)
    player.advance(1.5)
    player.change_speed(1)
    player.advance(1.0)
    assert player.time_s == pytest.approx(3.5)
    player.advance(60.0)
    assert (player.time_s, player.held) == (10.0, True)
    player.toggle()
    assert (player.time_s, player.held) == (0.0, False)
    for _ in range(9):
        player.change_speed(-1)
    assert player.speed == 0.1


def test_the_frame_rate_falls_until_it_is_paid_for() -> None:
    rate = FrameRate(11_000)
    assert rate.best(10) == 10
    for _ in range(30):
        rate.note(1_300)
    assert rate.best(10) == 8
    for _ in range(30):
        rate.note(1_700)
    assert rate.best(10) == 6
    for _ in range(30):
        rate.note(90_000)
    assert rate.best(10) == 4
    rate.restart()
    assert rate.best(15) == 15


def test_the_dialog_offers_finished_policies_and_the_command_that_does_the_same(
    database: Database,
) -> None:
    add_run(database, RunKind.TEACHER, "unfinished", state="failed")
    choices = read_choices(database, (1,))
    assert [run.id for run in choices.policies] == [1, 2]
    wanted = EvaluationRequest((2, 1), ("a", "b"), "flat", 16, 7)
    assert wanted.num_episodes == 64
    assert estimate_text(wanted, choices).startswith("64 episodes; no past evaluation")
    assert command_text(wanted) == (
        "hdtui evaluate --policy 2 --policy 1 --robots a,b --task flat --episodes 16 "
        "--seed 7 --detach"
    )


def test_an_evaluation_without_policies_is_not_queued(workspace: Path) -> None:
    with pytest.raises(UsageError, match="at least one policy"):
        queue_evaluation(Cockpit(workspace), EvaluationRequest((), ("a",)))


def test_the_evaluation_with_most_episodes_stands_for_a_policy_on_a_robot(
    database: Database, robots: list[Morphology]
) -> None:
    digest = robots[0].digest
    # What judged teacher and student together comes first: a row's ratio is that of its figures.
    alone, both = {"teacher": 1}, {"teacher": 1, "student": 2}
    for policies, values, expected in (
        (both, [5.0, 7.0], 1000.0),
        (alone, [5.0, 7.0, 6.0], 1000.0),
        (both, [5.0, 7.0, 6.0], 6.0),
    ):
        later = add_run(database, RunKind.EVALUATION, "again", inputs=(1, 2))
        returns = {(policy, digest): values for policy in policies}
        add_episodes(database, later, policies, returns)
        entries = read_robots(database, "six", None).entries
        entry = next(each for each in entries if each.robot.digest == digest)
        assert entry.teacher is not None
        assert entry.teacher.mean == pytest.approx(expected)


def films(database: Database, run_id: int, robot: Morphology, seed: int, *policies: str) -> None:
    """Recordings of an evaluation on a robot, all from its one seed."""
    for policy in policies:
        film = walking(robot, steps=5, policy=policy)
        add_film(database, run_id, replace(film, header=replace(film.header, seed=seed)), 1)


def test_watch_begins_with_the_robot_that_walks_best(robots: list[Morphology]) -> None:
    first, second = (film(robot).recording for robot in robots[:2])
    alone = RecordedEpisodes((first, second), ())
    assert alone.first_robot() == alone.robots()[0]
    returns = {first.robot_digest: 100.0, second.robot_digest: 200.0, "another": 900.0}
    assert replace(alone, returns=returns).first_robot() == second.robot_digest
    assert RecordedEpisodes((), ()).first_robot() is None


def pairs(database: Database, robot: Morphology) -> list[list[tuple[int, str]]]:
    """What stands side by side, by run and policy."""
    found = list_recordings(database, database.home).pairs(robot.digest)
    return [[(each.run_id, each.policy) for each in pair] for pair in found]


def test_a_pair_of_one_evaluation_goes_before_a_newer_film_without_another_side(
    database: Database, robots: list[Morphology]
) -> None:
    later = add_run(database, RunKind.EVALUATION, "again", inputs=(1, 2))
    films(database, later, robots[0], 7, "teacher")
    assert pairs(database, robots[0]) == [[(3, "teacher"), (3, "student")]]


def test_the_newest_evaluation_with_two_sides_is_played(
    database: Database, robots: list[Morphology]
) -> None:
    later = add_run(database, RunKind.EVALUATION, "again", inputs=(1, 2))
    films(database, later, robots[0], 7, "student", "teacher")
    assert pairs(database, robots[0]) == [[(later, "teacher"), (later, "student")]]


def test_films_of_different_seeds_never_stand_side_by_side(
    database: Database, robots: list[Morphology]
) -> None:
    first = add_run(database, RunKind.EVALUATION, "teacher alone", inputs=(1,))
    second = add_run(database, RunKind.EVALUATION, "student alone", inputs=(2,))
    third = add_run(database, RunKind.EVALUATION, "student again", inputs=(2,))
    films(database, first, robots[1], 3, "teacher")
    films(database, second, robots[1], 4, "student")
    assert pairs(database, robots[1]) == [[(second, "student")], [(first, "teacher")]]
    films(database, third, robots[1], 3, "student")
    assert pairs(database, robots[1]) == [
        [(first, "teacher"), (third, "student")],
        [(second, "student")],
    ]
    assert all(
        len({load_film(each).poses.header.seed for each in pair}) == 1
        for pair in list_recordings(database, database.home).pairs(robots[1].digest)
    )


def test_of_two_teachers_and_a_student_one_teacher_and_the_student_are_played(
    database: Database, robots: list[Morphology]
) -> None:
    later = add_run(database, RunKind.EVALUATION, "three", inputs=(1, 2))
    films(database, later, robots[1], 7, "teacher 1", "teacher 4", "student", "random")
    assert pairs(database, robots[1]) == [[(later, "teacher 1"), (later, "student")]]
    films(database, later, robots[2], 7, "teacher 1", "teacher 4")
    assert pairs(database, robots[2]) == [[(later, "teacher 1"), (later, "teacher 4")]]
    films(database, later, robots[3], 7, "random", "zero", "student")
    assert pairs(database, robots[3]) == [[(later, "student"), (later, "random")]]


def test_recordings_whose_header_cannot_be_read_pair_within_their_evaluation_alone(
    database: Database, robots: list[Morphology]
) -> None:
    first = add_run(database, RunKind.EVALUATION, "broken", inputs=(1,))
    second = add_run(database, RunKind.EVALUATION, "broken too", inputs=(2,))
    films(database, first, robots[1], 5, "teacher")
    films(database, second, robots[1], 5, "student")
    for recording in list_recordings(database, database.home).episodes:
        if recording.run_id in (first, second):
            recording.path.write_bytes(b"torn")
    _seed_in.cache_clear()
    assert pairs(database, robots[1]) == [[(second, "student")], [(first, "teacher")]]
