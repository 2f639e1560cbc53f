"""Robots and a small workspace that the tests of this area share."""

from pathlib import Path

import pytest
from library import add_episodes, add_film, add_robots, add_run, walking

from db.records import RunKind
from db.session import Database
from engine.morphology.generation import generate
from engine.morphology.tree import Morphology


@pytest.fixture(scope="session")
def robots() -> list[Morphology]:
    """Six robots from a seed."""
    return generate(6, 3)


@pytest.fixture
def workspace(tmp_path: Path, robots: list[Morphology]) -> Path:
    """A workspace with six robots, a teacher (1), a student (2) and their evaluation (3)."""
    home = tmp_path / "home"
    home.mkdir()
    database = Database.open(home)
    add_robots(database, robots, "six")
    teacher = add_run(database, RunKind.TEACHER, "small-s1", sets=("six",))
    student = add_run(database, RunKind.STUDENT, "small-s1", inputs=(teacher,))
    evaluation = add_run(
        database, RunKind.EVALUATION, "small-s1", inputs=(teacher, student), sets=("six",)
    )
    returns = {
        (policy, robot.digest): [scale * (place + 1) + episode for episode in (-1.0, 0.0, 1.0)]
        for place, robot in enumerate(robots[:4])
        for policy, scale in (("teacher", 1000.0), ("student", 900.0))
    }
    add_episodes(database, evaluation, {"teacher": teacher, "student": student}, returns)
    for policy, run_id in (("teacher", teacher), ("student", student)):
        film = walking(robots[0], policy=policy, terminated=policy == "student")
        add_film(database, evaluation, film, run_id)
    database.close()
    return home
