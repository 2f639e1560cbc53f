"""The command that the form prints gives the run that the form queues, clones as well."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from db.queries.robots import create_set, list_robots
from db.queries.runs import get_run, list_runs, queue_run
from db.records import NewRun, Run, RunKind, RunState
from db.session import Database
from engine.config.base import Config
from engine.config.overrides import flat, setting_names
from engine.config.presets import PRESETS
from engine.config.robots import GenerationConfig, MutationConfig
from engine.errors import ConfigError
from engine.morphology.generation import generate
from engine.workers.new_runs import request_of
from engine.workers.robot_library import TRAINING, make_set
from engine.workers.stages import STAGES
from engine.workers.workspace import Workspace
from hdtui.actions.run_form import STAGE_NAMES, RunForm, form_of_clone, read_clone
from hdtui.cli.launch import configured
from hdtui.cli.main import app
from hdtui.data.settings import (
    choices_of,
    fields_of,
    nearest_preset,
    start_of,
)

NOW = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)
NUMBERS = ("1", "2", "0.5", "3e-4", "none", "64", "128", "2.0M")
NAMES = ("kind", "name")


def given_to(form: RunForm) -> Config:
    """The settings that the commands make of the words that the form prints."""
    words = shlex.split(form.command())
    settings_text = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    if form.stage == "generation":
        options = {"--count": "train_count", "--unseen": "unseen_count", "--seed": "seed"}
        counts = {options[w]: int(words[i + 1]) for i, w in enumerate(words) if w in options}
        return GenerationConfig.model_validate(counts)
    if form.stage == "mutation":
        return configured(MutationConfig(), None, settings_text, None)
    preset = words[words.index("--preset") + 1] if "--preset" in words else "quick"
    return configured(start_of(form.stage, preset), None, settings_text, None)


def cloned(stage: str, config: Config, **facts: Any) -> Run:
    """A finished run with these settings."""
    known: dict[str, Any] = {
        "id": 7, "kind": RunKind(stage), "name": "laptop-unimal8-s1",
        "state": RunState.FINISHED, "pipeline": None, "group": None, "host": "lab-7",
        "device": "cpu", "attempt": 1, "pid": None, "pid_started_at": None, "boot_id": None,
        "seed": 1, "config": config.model_dump(mode="json"), "inputs": (), "robot_sets": (),
        "folder": "runs/7", "versions": {}, "reason": None, "exit_code": 0, "progress": 1.0,
        "done": None, "total": None, "unit": None, "rate": None, "result": None,
        "result_text": None, "report_gap_s": None, "created_at": NOW, "started_at": NOW,
        "ended_at": NOW, "reported_at": None, "checkpoint_step": None,
    }  # fmt: skip
    return Run(**{**known, **facts})


def clone_of(run: Run) -> RunForm:
    """The form that clones a run, whose inputs are all it may read."""
    inputs = [
        cloned(STAGES[run.kind].reads[0], start_of(STAGES[run.kind].reads[0], "quick"), id=number)
        for number in run.inputs
    ]
    return form_of_clone(run, request_of(run, lambda numbers: inputs))


@st.composite
def changes(draw: st.DrawFn, stage: str) -> dict[str, str]:
    """Texts for a few settings, names of networks and tasks more often than others."""
    config = type(start_of(stage, "quick"))
    known = list(setting_names(config))
    names = [key for key in known if key.rpartition(".")[2] in NAMES] or known
    keys = draw(st.lists(st.one_of(st.sampled_from(names), st.sampled_from(known)), max_size=5))
    texts = {}
    for key in keys:
        words = choices_of(fields_of(config, key)) or NUMBERS
        texts[key] = draw(st.sampled_from(words))
    return texts


@pytest.mark.parametrize("stage", STAGE_NAMES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_the_command_of_a_form_gives_its_settings(stage: str, data: st.DataObject) -> None:
    form = RunForm(stage=stage, preset=data.draw(st.sampled_from(list(PRESETS))), into="new")
    for key, text in data.draw(changes(stage)).items():
        form.set_value(key, text)
    assume(not set(form.problems()) & set(setting_names(type(form.start()))))
    assert given_to(form) == form.config()


@pytest.mark.parametrize("stage", [stage for stage in STAGE_NAMES if stage != "pipeline"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_the_command_of_a_clone_gives_its_settings(stage: str, data: st.DataObject) -> None:
    before = RunForm(stage=stage, preset=data.draw(st.sampled_from(list(PRESETS))))
    before.raw = data.draw(changes(stage))
    known = set(setting_names(type(before.start())))
    assume(not set(before.problems()) & known)
    form = clone_of(cloned(stage, before.config()))
    assert form.config() == before.config()
    for key, text in data.draw(changes(stage)).items():
        form.set_value(key, text)
    assume(not set(form.problems()) & known)
    assert given_to(form) == form.config()


def test_what_stands_beside_the_settings_follows_the_names_that_are_chosen() -> None:
    form = RunForm(stage="teacher", preset="paper", robots="unimal8")
    form.set_value("network.kind", "hypernetwork")
    form.set_value("task.name", "obstacles")
    rows = {row.key: row for row in form.rows({"network", "task", "ppo"}) if not row.section}
    made = flat(form.config())
    for key, row in rows.items():
        if key not in form.raw:
            assert row.base == made[key], key
    assert (rows["network.kind"].value, rows["network.kind"].base) == (
        "hypernetwork",
        "transformer",
    )
    assert (rows["task.name"].value, rows["task.name"].base) == ("obstacles", "flat")
    assert rows["total_env_steps"].base == 200_000_000
    form.set_value("network.kind", "transformer")
    assert set(form.raw) == {"task.name"}


def test_a_clone_names_the_networks_that_differ_and_nothing_that_follows() -> None:
    before = RunForm(stage="teacher", preset="paper", robots="unimal8")
    before.raw = {"network.kind": "modumorph", "task.name": "variable", "seed": "4"}
    form = clone_of(cloned("teacher", before.config(), robot_sets=("unimal8",), seed=4))
    words = shlex.split(form.command())
    assert words[words.index("--preset") + 1] == "paper"
    settings_text = {word for word in words if "=" in word}
    assert settings_text == {"network.kind=modumorph", "task.name=variable", "seed=4"}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_clone_is_of_the_preset_that_it_differs_least_from(preset: str) -> None:
    config = start_of("teacher", preset).model_copy(update={"seed": 9})
    document = config.model_dump(mode="json")
    assert nearest_preset("teacher", document, "any name") == preset
    run = cloned("teacher", config, name=f"{preset}-unimal8-s9", seed=9, robot_sets=("unimal8",))
    form = clone_of(run)
    assert (form.preset, form.base_label) == (preset, "run 7")
    assert form.request().name == f"{preset}-unimal8-s9"
    form.set_value("seed", "12")
    assert form.request().name == f"{preset}-unimal8-s12"
    assert f"--name {preset}-unimal8-s12" in form.command()


def test_another_preset_takes_the_place_of_the_cloned_run_and_u_brings_it_back() -> None:
    run = cloned("teacher", start_of("teacher", "laptop"), robot_sets=("unimal8",))
    form = clone_of(run)
    assert "run 7" in form.take_preset("smoke")
    assert form.config() == start_of("teacher", "smoke") == given_to(form)
    assert form.base_label == "smoke"
    assert form.undo("preset")
    assert (form.preset, form.base_label) == ("laptop", "run 7")
    assert form.config() == start_of("teacher", "laptop")


def test_a_cloned_evaluation_keeps_its_baselines_and_files() -> None:
    files = [{"label": "x", "kind": "network", "paths": ["/there/x.npz"], "sha256": ["0"]}]
    extra = {"baselines": ["random"], "files": files}
    run = cloned(
        "evaluation",
        start_of("evaluation", "quick"),
        extra=extra,
        inputs=(3,),
        robot_sets=("unimal8",),
    )
    form = clone_of(run)
    assert form.request().baselines == ("random",)
    assert form.request().policy_files == (Path("/there/x.npz"),)
    assert "--policy 3 --policy random --policy /there/x.npz" in form.command()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a set of two robots; nobody starts what is queued."""
    for module in ("commands", "pipeline"):
        monkeypatch.setattr(f"engine.workers.{module}.ensure_supervisor", lambda _: False)
    folder = tmp_path / "work"
    database = Database.open(folder)
    make_set(
        database, Workspace(folder), "two", [(robot, TRAINING) for robot in generate(2, seed=4)]
    )
    create_set(database, "one", [(list_robots(database, "two")[0].id, "training")])
    database.close()
    return folder


def queued(home: Path, *words: str) -> list[Run]:
    """The runs that a command line queues, oldest first."""
    database = Database.open(home)
    before = {run.id for run in list_runs(database)}
    result = CliRunner().invoke(app, [*words, "--home", str(home)])
    assert result.exit_code == 0, (words, result.output, result.exception)
    runs = [run for run in list_runs(database, newest_first=False) if run.id not in before]
    database.close()
    return runs


def test_every_printed_command_is_one_that_hdtui_takes(home: Path) -> None:
    numbers: dict[str, int] = {}
    reads = {"collection": "teacher", "student": "collection", "evaluation": "teacher"}
    for stage in STAGE_NAMES:
        if stage == "deployment":  # it waits for its files
            continue
        form = RunForm(
            stage=stage,
            preset="smoke",
            robots="" if stage in ("generation", "student") else "two",
            inputs=str(numbers[reads[stage]]) if stage in reads else "",
            into="new" if stage == "generation" else "more",
            study="" if stage in ("generation", "mutation") else "depth of nets",
        )
        form.set_value("teacher.seed" if stage == "pipeline" else "seed", "3")
        assert form.problems() == {}
        runs = queued(home, *shlex.split(form.command())[1:])
        numbers[stage] = runs[0].id
        assert {run.group for run in runs} == {form.study or None}
        if stage != "pipeline":
            assert runs[0].config == form.request().config.model_dump(mode="json")
            assert runs[0].kind == stage


def test_a_study_is_set_and_taken_back_afterwards(home: Path) -> None:
    database = Database.open(home)
    run = queue_run(database, NewRun(kind=RunKind.TEACHER, name="a", config={}, seed=1))
    queued(home, "runs", "note", str(run.id), "--study", "depth")
    assert get_run(database, run.id).group == "depth"
    queued(home, "runs", "note", str(run.id), "--study", "")
    assert get_run(database, run.id).group is None
    database.close()


def test_a_clone_takes_the_study_and_those_inputs_that_its_form_names(home: Path) -> None:
    database = Database.open(home)
    config = start_of("teacher", "smoke").model_dump(mode="json")
    teacher = queue_run(database, NewRun(RunKind.TEACHER, "t", config, 1))
    mutation = queue_run(database, NewRun(RunKind.MUTATION, "m", {}, 1))
    collected = queue_run(
        database,
        NewRun(
            RunKind.COLLECTION,
            "c",
            start_of("collection", "smoke").model_dump(mode="json"),
            1,
            inputs=(teacher.id, mutation.id),
            robot_sets=("two",),
            group="depth",
        ),
    )
    form = read_clone(database, collected.id)
    assert (form.inputs, form.study) == (str(teacher.id), "depth")
    assert "--study depth" in form.command()
    assert form.request().study == "depth"
    database.close()


def test_a_run_of_another_version_says_why_it_cannot_be_cloned(home: Path) -> None:
    database = Database.open(home)
    run = queue_run(database, NewRun(RunKind.TEACHER, "t", {"wings": 2}, 1))
    with pytest.raises(ConfigError, match=f"run {run.id} cannot be cloned: wings"):
        read_clone(database, run.id)
    database.close()


def test_a_run_is_shown_with_its_result_and_its_readers(
    filled: tuple[Path, dict[str, int]],
) -> None:
    home, ids = filled
    words = ["runs", "show", str(ids["teacher"]), "--home", str(home)]
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert "result return 787" in lines
    assert any(line.startswith("used by") and str(ids["collection"]) in line for line in lines)
    assert any("config.json" in line for line in lines)
