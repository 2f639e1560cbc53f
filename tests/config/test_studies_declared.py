"""Studies as they are declared: built in and from files, and what is said of a mistake."""

import math
import os
import tomllib
from pathlib import Path

import pytest

from engine.config.study import built_in_studies, checked_study, load_study
from engine.errors import ConfigError, UsageError
from hdtui.exports.formats import as_toml

PLAIN = """
question = "Does width matter?"
preset = "smoke"
seeds = 2

[factors.width]
16 = { value = 16, settings = { "student.network.hidden_width" = 16 } }
wide = { settings.student.network.hidden_width = 32, scale = { "student.epochs" = 0.5 } }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "width.toml"
    path.write_text(PLAIN)
    return path


@pytest.mark.parametrize("name", built_in_studies())
@pytest.mark.parametrize("preset", ["smoke", "quick", "laptop", "paper"])
def test_every_built_in_study_can_be_asked_at_every_preset(name: str, preset: str) -> None:
    study = load_study(name, {"preset": preset})
    assert study.name == name
    assert study.question.endswith("?")
    assert study.comparisons()
    page = Path(__file__).parents[2] / "docs" / "studies" / f"{name}.md"
    assert page.read_text().startswith(f"# {name}\n")
    # A report keeps its study as a file that asks the same again.
    written = tomllib.loads(as_toml(study.model_dump(mode="json")))
    assert checked_study(written, name) == study


def test_levels_change_settings_of_any_stage_and_scale_numbers_of_the_base(file: Path) -> None:
    study = load_study(str(file))
    assert study.name == "width"
    assert study.seeds == (1, 2)
    narrow, wide = study.combinations()
    assert [narrow.label, wide.label] == ["width=16", "width=wide"]
    assert study.pipeline(narrow, 2).student.network.hidden_width == 16
    assert study.pipeline(wide, 2).student.network.hidden_width == 32
    assert study.pipeline(wide, 2).student.epochs == study.pipeline(narrow, 2).student.epochs // 2
    assert {study.pipeline(narrow, 2).teacher.seed, study.pipeline(narrow, 2).student.seed} == {2}
    [comparison] = study.comparisons()
    assert (comparison.cell, comparison.against) == ("width=wide", "width=16")


def test_factors_are_combined_and_the_last_one_varies_fastest(file: Path) -> None:
    file.write_text(PLAIN + '[factors.policy]\nstudent = {}\nteacher = { route = "teach" }\n')
    labels = [each.label for each in load_study(str(file)).combinations()]
    assert labels == [
        "width=16 policy=student",
        "width=16 policy=teacher",
        "width=wide policy=student",
        "width=wide policy=teacher",
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('preset = "huge"', "preset: found 'huge'"),
        ("seeds = 0", "seeds: found 0"),
        ("seeds = [1, 1]", "seeds: found [1, 1]; value error, expected different"),
        ("sedes = 3", "sedes: found 3"),
        ("[settings]\nstudent.epohcs = 3", "student.epohcs: there is no such setting; did you"),
        (
            '[factors.a]\nb = { settings = { "student.epochs" = 0 } }',
            "a=b: student.epochs: found 0",
        ),
        ('[factors.a]\nb = { scale = { "loss" = 2 } }', "scale.loss: expected a setting that is a"),
        ('[factors."a b"]\nb = {}', "'a b' is no name"),
        ("[factors.a]", "factors.a has no levels"),
        ("[factors.rate]\nlog_uniform = [1e-4, 1e-2]", "rate: there is no such setting"),
        ("[factors.a]\nlog_uniform = [0.0, 1e-2]", "log_uniform: expected numbers above 0"),
        ("[factors.a]\nuniform = [2.0, 1.0]", "uniform: expected a low and a higher number"),
        ("[factors.a]\ncategorical = [1, 1]", "categorical: expected two or more different"),
        (
            '[factors."student.epochs"]\ninteger = [0, 9]',
            "student.epochs=0: student.epochs: found 0",
        ),
        (
            'measures = [{ name = "latency" }]\n[factors."student.epochs"]\ninteger = [1, 9]',
            "measures: a search is for what trained policies earn; latency is a cost",
        ),
        (
            'measures = [{ name = "steps_to_reach" }]\n[factors."teacher.ppo.learning_rate"]\n'
            "uniform = [0.1, 0.2]\n[search]\nhalving = {}",
            "less of steps_to_reach is better; leave halving out",
        ),
        (
            '[factors."student.epochs"]\ninteger = [1, 9]\n[search]\nhalving = {}',
            "search.halving compares students' returns while they train; set",
        ),
        ('route = "write"', "route=write earns nothing"),
        ("[factors.a]\nb = { limbs = 3 }", "limbs of a level are read where trained is false"),
        ("trained = false", "trained=false: nothing measures return; expected parameters"),
        ('[[compare]]\ncell = "x"\nagainst = "base"', "compare.0.cell: found 'x'; expected one of"),
        ("[robots]\nfolds = 1", "folds=1 leaves no robot"),
        ('[robots]\nunseen = "a"', "unseen=a is read with a training set"),
        ("[rule]\nconfidence = 2", "rule.confidence: found 2"),
        ("nonsense", "cannot be read as a TOML configuration"),
    ],
)
def test_a_mistake_is_told_with_its_key_what_was_found_and_what_was_expected(
    tmp_path: Path, line: str, told: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(f'question = "Is this right?"\n{line}\n')
    with pytest.raises(ConfigError) as error:
        load_study(str(path))
    assert told in str(error.value)


def test_what_is_no_file_of_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no study .nothing.; a FILE\.toml holds one"):
        load_study("nothing")
    with pytest.raises(ConfigError, match="No such file"):
        load_study(str(tmp_path / "absent.toml"))
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="is not a regular file"):
        load_study(str(pipe))
    deep = tmp_path / "deep.toml"
    deep.write_text("x = " + "{ x = " * 50_000)
    with pytest.raises(ConfigError, match="nested too deep"):
        load_study(str(deep))
    large = tmp_path / "large.toml"
    large.write_text("#" * 1_000_001)
    with pytest.raises(ConfigError, match="larger than"):
        load_study(str(large))


def test_a_document_comes_back_from_toml_as_it_was() -> None:
    document = {
        "text": 'é "quoted" \x7f \x00 \n',
        "numbers": [1, 2.5, -math.inf, math.inf],
        "inside": {"a b": {"deep": [{"x": True}]}, "empty": {}},
    }
    assert tomllib.loads(as_toml(document)) == document
    assert tomllib.loads(as_toml({"a": [1, None], "b": None, "c": [{"d": None}]})) == {
        "a": [1],
        "c": [{}],
    }
