"""The form of a new run: every stage has one, with the command that does the same."""

from pathlib import Path

import cockpit_story
import pytest
from cockpit_pilot import opened, shows, text, until

from db.queries.robots import create_set, list_robots
from db.queries.runs import list_runs, queue_run
from db.records import NewRun, RunKind
from db.session import Database
from engine.config.presets import PRESETS
from engine.workers.new_runs import built_run
from hdtui.actions.evaluate import Choices, EvaluationRequest
from hdtui.actions.run_form import STAGE_NAMES, RunForm
from hdtui.data.form_choices import read_known
from hdtui.screens.new_run.evaluate import EvaluateScreen
from hdtui.screens.new_run.rows import command_rows, setting_row

Filled = tuple[Path, dict[str, int]]


def test_every_stage_of_a_pipeline_has_a_form() -> None:
    assert set(STAGE_NAMES) == {"pipeline", *(str(kind) for kind in RunKind)}
    for stage in STAGE_NAMES:
        assert RunForm(stage=stage).command().startswith("hdtui ")


def test_a_generation_is_the_command_that_fills_two_sets() -> None:
    form = RunForm(stage="generation", into="mine")
    form.set_value("train_count", "12")
    unseen = PRESETS["quick"].generation.unseen_count
    expected = f"hdtui robots generate --into mine --seed 1 --count 12 --unseen {unseen} --detach"
    assert form.command() == expected
    run = built_run(form.request())
    assert run.extra == {"training_set": "mine", "unseen_set": "mine-unseen"}
    assert (run.name, run.robot_sets) == ("mine", ())


def test_a_mutation_reads_one_set_and_fills_another() -> None:
    form = RunForm(stage="mutation", robots="mine", into="mine-mutants")
    count = PRESETS["quick"].mutation.mutants_per_robot
    expected = f"hdtui robots mutate mine --into mine-mutants --set mutants_per_robot={count}"
    assert form.command() == f"{expected} --detach"
    assert built_run(form.request()).extra == {"mutant_set": "mine-mutants"}


@pytest.mark.parametrize(("into", "problem"), [("", "needs the name"), ("a b", "letters, digits")])
def test_a_new_set_needs_a_name_that_a_command_line_takes(into: str, problem: str) -> None:
    form = RunForm(stage="generation", into=into)
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


def test_sets_and_runs_are_looked_up_before_a_run_starts(filled: Filled) -> None:
    home, ids = filled
    database = Database.open(home)
    unsaved = queue_run(database, NewRun(RunKind.TEACHER, "unsaved", {}, 1)).id
    cockpit_story.change(database, unsaved, state="failed")
    known = read_known(database)

    def problem(stage: str, key: str, **words: str) -> str:
        return RunForm(stage=stage, **words).problems(known).get(key, "")  # type: ignore[arg-type]

    assert problem("teacher", "robots", robots="unimal8") == ""
    assert problem("teacher", "robots", robots="unimal9").endswith("did you mean unimal8?")
    assert "more than once" in problem("teacher", "robots", robots="unimal8 unimal8")
    assert "takes one" in problem("pipeline", "robots", robots="unimal8 generated")
    assert problem("pipeline", "robots", robots="generated") == ""
    assert "no run 999" in problem("collection", "from", inputs="999")
    assert "is a student, expected a teacher" in problem(
        "collection", "from", inputs=str(ids["student"])
    )
    # It failed after a checkpoint, which is a policy.
    assert known.by_number is not None
    assert known.by_number[ids["failed"]].checkpoint_step is not None
    assert problem("collection", "from", inputs=str(ids["failed"])) == ""
    assert "is failed" in problem("collection", "from", inputs=str(unsaved))
    assert "expected the number" in problem("student", "from", inputs="newest")
    two = f"{ids['old teacher']} {ids['teacher']}"
    assert "takes one teacher" in problem("collection", "from", inputs=two)
    assert problem("evaluation", "from", inputs=f"{two} random") == ""
    assert problem("collection", "from", inputs=str(ids["teacher"])) == ""  # it still runs


@pytest.mark.parametrize(
    ("stage", "settings", "key"),
    [
        ("teacher", {"ppo.horizon": "1", "ppo.minibatches": "5000"}, "ppo.minibatches"),
        ("student", {"correction_rounds": "20"}, "epochs"),
        ("student", {"network.heads": "3"}, "network.heads"),
        ("mutation", {"min_operations": "9"}, "min_operations"),
        ("pipeline", {"teacher.ppo.minibatches": "5000"}, "teacher.ppo.minibatches"),
    ],
)
def test_what_is_wrong_between_settings_stands_beside_the_first_that_is_named(
    stage: str, settings: dict[str, str], key: str
) -> None:
    form = RunForm(stage=stage, robots="unimal8", inputs="1", into="x", raw=settings)
    problems = form.problems()
    assert set(problems) == {key}
    assert "{" not in problems[key]


def test_settings_that_are_right_together_are_right() -> None:
    form = RunForm(robots="unimal8", raw={"ppo.minibatches": "2000", "ppo.horizon": "128"})
    assert form.problems() == {}


def test_undo_takes_every_upper_row_back() -> None:
    form = RunForm(stage="evaluation", robots="unimal8", inputs="4")
    for key in form.top_keys:
        assert not form.undo(key)
        form.set_top(key, "smoke")
        assert form.undo(key)
    assert (form.name, form.robots, form.inputs, form.preset) == ("", "unimal8", "4", "quick")


def test_cut_texts_end_with_an_ellipsis() -> None:
    form = RunForm(stage="student", inputs="1", raw={"epochs": "9" * 60})
    rows = {row.key: row for row in form.rows(set())}
    drawn = setting_row(rows["correction_samples_per_robot"], form, {}, set(), 48)
    assert drawn.cells[1][0].text == "correction_samples_per_ro"
    assert drawn.cells[1][-1].text == "…"
    assert setting_row(rows["epochs"], form, {}, set(), 48).cells[2][-1].text == "…"
    assert command_rows("a command of many words " * 9, 40).endswith("…")
    assert command_rows("short", 40) == "short"


async def test_esc_leaves_a_value_as_it_was_and_u_takes_names_back(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("n")
        await shows(pilot, "hdtui teach --preset quick --robots unimal8")
        await pilot.press("home", "enter", *"mine")
        await shows(pilot, "--name mine")
        await pilot.press("escape")
        await until(pilot, lambda: "--name" not in text(pilot))
        await pilot.press("enter", *"mine", "enter", "enter", *"other", "escape")
        await shows(pilot, "--name mine")
        await pilot.press("u")
        await shows(pilot, "u: name is as it was", "automatic")
        await pilot.press("slash", *"horizon", "enter", "enter", *"77", "enter")
        await shows(pilot, "--set ppo.horizon=77", "1 change to quick")
        await pilot.press("enter", *"99", "escape")
        await shows(pilot, "--set ppo.horizon=77")
        await pilot.press("u")
        await shows(pilot, "0 changes to quick")


async def test_every_stage_keeps_its_own_edits(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("n")
        await shows(pilot, "hdtui teach --preset quick --robots unimal8")
        await pilot.press("home", "enter", *"mine", "enter", "right_square_bracket")
        await shows(pilot, "[mutation]")
        await pilot.press("left_square_bracket")
        await shows(pilot, "[teacher]", "--name mine")


async def test_a_set_that_is_not_there_is_told_beside_its_field(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("n")
        await shows(pilot, "hdtui teach --preset quick --robots unimal8")
        await pilot.press("home", "j", "j", "j", "enter", *"unimal9", "enter")
        await shows(pilot, "unimal9 ✗", "there is no robot")
        await pilot.press("R")
        await shows(pilot, "1 setting is not valid: there is no robot set unimal9")
    assert len(list_runs(Database.open(home))) == 13


async def test_a_clone_is_headed_by_its_run_until_a_preset_is_chosen(filled: Filled) -> None:
    home, ids = filled
    number = ids["old teacher"]
    async with opened(home) as pilot:
        await pilot.press("2", "slash", *"name:laptop kind:teacher", "enter")
        await shows(pilot, "Runs · 1 of 13")
        await pilot.press("C")
        screen = await shows(pilot, f"0 changes to run {number}", "--name laptop-unimal8-s1")
        assert any("value" in row and f"run {number} " in row for row in screen.splitlines())
        await pilot.press("home", "j", "enter", *"smoke", "enter")
        await shows(pilot, f"preset smoke takes the place of run {number}", "0 changes to smoke")
        await pilot.press("u")
        await shows(pilot, f"0 changes to run {number}")


async def test_a_study_is_typed_into_the_form(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("n")
        await shows(pilot, "hdtui teach --preset quick --robots unimal8")
        await pilot.press("home", "j", "j", "enter", *"depth", "enter")
        await shows(pilot, "--study depth")
        await pilot.press("R")
        await shows(pilot, "is queued")
    assert list_runs(Database.open(home), limit=1)[0].group == "depth"


async def test_the_evaluate_dialog_answers_every_key(filled: Filled) -> None:
    async with opened(filled[0]) as pilot:
        dialog = EvaluateScreen(Choices((), None, 0, robots=("a",)))
        pilot.app.push_screen(dialog)
        await pilot.press("R")
        await shows(pilot, "R: nothing to start, space ticks a policy first")
        await pilot.press("y")
        await shows(pilot, "y: nothing is copied, space ticks a policy first")
        dialog.wanted = EvaluationRequest((1,), ("a",))
        await pilot.press("y")
        await shows(pilot, "command copied")


async def test_a_field_names_the_setting_that_is_edited(filled: Filled) -> None:
    home, _ = filled
    async with opened(home) as pilot:
        await pilot.press("n")
        await shows(pilot, "0 changes to quick")
        await pilot.press("slash", *"total_env", "enter")
        await shows(pilot, " / total_env")
        await pilot.press("enter")
        await shows(pilot, "total_env_steps: 2.0M", "enter takes it, esc leaves it")
        await pilot.press("escape")
        await shows(pilot, " / total_env")
        assert "esc leaves it" not in text(pilot)


async def test_the_list_goes_to_the_run_that_was_started_and_names_it(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("2")
        await shows(pilot, "Runs · 13")
        await pilot.press("j", "j", "n")
        await shows(pilot, "teach --preset quick --robots unimal8")
        await pilot.press("R")
        run_id = max(ids.values()) + 1
        await shows(pilot, f"{run_id} teacher", "is queued", "Runs · 14")
        await until(pilot, lambda: pilot.app.screen.current_run() == run_id)
        assert f"{run_id} teacher quick-unimal8-s1 is queued" in text(pilot)


async def test_robots_and_runs_are_chosen_from_lists(filled: Filled) -> None:
    home, ids = filled
    async with opened(home) as pilot:
        await pilot.press("n")
        await shows(pilot, "hdtui teach --preset quick --robots unimal8")
        await pilot.press("home", "j", "j", "j", "enter")
        await shows(pilot, "robots of the teacher", "unimal8", "training", "space one more")
        await pilot.press("escape", *["right_square_bracket"] * 2)
        await shows(pilot, "[collection]")
        await pilot.press("home", "j", "j", "j", "enter")
        await shows(pilot, "from of the collection", f"{ids['old teacher']}", "teacher laptop")
        await pilot.press(*str(ids["old teacher"]), "enter")
        await shows(pilot, f"hdtui collect {ids['old teacher']} --preset")
        await pilot.press(*["right_square_bracket"] * 2)
        await shows(pilot, "[evaluation]")
        await pilot.press("home", "j", "j", "j", "enter")
        await shows(pilot, "from of the evaluation", "space one more")
        await pilot.press(*"random", "space", *"zero", "space", "enter")
        await shows(pilot, "--policy random --policy zero")


async def test_robots_that_are_not_for_training_are_asked_about_before_they_teach(
    filled: Filled,
) -> None:
    home, _ = filled
    database = Database.open(home)
    robot = list_robots(database)[0]
    create_set(database, "apart", [(robot.id, "unseen")])
    before = len(list_runs(database))
    async with opened(home) as pilot:
        await pilot.press("n")
        await shows(pilot, "hdtui teach --preset quick --robots unimal8")
        await pilot.press("home", "j", "j", "j", "enter", *"apart", "enter")
        await shows(pilot, "--robots apart")
        await pilot.press("R")
        await shows(pilot, "Not for training", "the robots of apart have the role unseen")
        await pilot.press("n")
        await until(pilot, lambda: "Not for training" not in text(pilot))
        assert len(list_runs(database)) == before
        await pilot.press("R")
        await shows(pilot, "learn from them all the same")
        await pilot.press("y")
        await shows(pilot, "teacher quick-apart-s1 is queued")
    assert list_runs(database, limit=1)[0].robot_sets == ("apart",)
