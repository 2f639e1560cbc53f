"""The form of a new run: every stage has one, with the command that does the same."""

from pathlib import Path

import pytest
from cockpit_pilot import opened, shows

from db.queries.runs import list_runs
from db.records import RunKind
from db.session import Database
from engine.config.presets import PRESETS
from hdtui.services.launch import STAGES, LaunchForm

Filled = tuple[Path, dict[str, int]]


def test_every_stage_of_a_pipeline_has_a_form() -> None:
    assert set(STAGES) == {"pipeline", *(str(kind) for kind in RunKind)}
    for stage in STAGES:
        assert LaunchForm(stage=stage).command().startswith("hdtui ")


def test_a_generation_is_the_command_that_fills_two_sets() -> None:
    form = LaunchForm(stage="generation", into="mine")
    form.set_value("train_count", "12")
    unseen = PRESETS["quick"].generation.unseen_count
    expected = f"hdtui robots generate --into mine --seed 1 --count 12 --unseen {unseen} --detach"
    assert form.command() == expected
    run = form.new_run()
    assert run.extra == {"training_set": "mine", "unseen_set": "mine-unseen"}
    assert (run.name, run.robot_sets) == ("mine", ())


def test_a_mutation_reads_one_set_and_fills_another() -> None:
    form = LaunchForm(stage="mutation", robots="mine", into="mine-mutants")
    count = PRESETS["quick"].mutation.mutants_per_robot
    expected = f"hdtui robots mutate mine --into mine-mutants --set mutants_per_robot={count}"
    assert form.command() == f"{expected} --detach"
    assert form.new_run().extra == {"mutant_set": "mine-mutants"}


@pytest.mark.parametrize(("into", "problem"), [("", "needs the name"), ("a b", "letters, digits")])
def test_a_new_set_needs_a_name_that_a_command_line_takes(into: str, problem: str) -> None:
    form = LaunchForm(stage="generation", into=into)
    assert problem in form.problems()["into"]


async def test_a_mutation_starts_from_the_form_at_80_columns(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("n")
        await shows(pilot, "[teacher]", "…")
        await pilot.press("right_square_bracket")
        await shows(pilot, "[mutation]", "robots mutate unimal8 --into unimal8-mutants")
        await pilot.press("R")
        await shows(pilot, "mutation unimal8-mutants is queued")
    newest = list_runs(Database.open(home), limit=1)[0]
    assert newest.kind is RunKind.MUTATION
    assert newest.extra == {"mutant_set": "unimal8-mutants"}
