"""What a study asks: a base pipeline, the factors it varies, what is measured and how it is judged.

A study is a TOML document. Its base is a preset with ``settings`` of any stage, as ``--set`` takes
them. A factor has named levels, each with settings of its own; every combination of levels is run
with every seed. ``compare`` says which combinations answer the question, ``equal`` which costs have
to be alike for the answer to mean anything.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from engine.config.base import Config
from engine.config.distillation import student_of
from engine.config.overrides import flat, flattened, read_toml, validated, with_settings
from engine.config.presets import PipelineConfig, PresetName, preset
from engine.config.search import RANGE_KINDS, Range, Search
from engine.errors import ConfigError, UsageError

Route = Literal["distil", "teach", "write"]
"""Whose policy is judged: the student's, or the teacher's itself.

``write`` is a hypernetwork writing a base MLP, which costs but earns nothing.
"""
MeasureName = Literal[
    "return",
    "ratio",
    "steps_to_reach",
    "parameters",
    "multiply_adds",
    "latency",
    "steps_to_earn_back",
]
Group = Literal["trained", "unseen"]
BudgetName = Literal["control_steps", "samples", "gradient_steps", "parameters"]
Expectation = Literal["lower", "higher", "equal"]

TRIAL = "trial"
"""The factor whose levels are the trials of a search."""
BUILT_IN_FOLDER = Path(__file__).parent / "studies"
MOST_CELLS = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}")
_SINGLE = "single_mlp"
_OF_FRESH_NETWORKS = ("parameters", "multiply_adds", "latency", "steps_to_earn_back")


class StudyRobots(Config):
    """Robots to train on and robots that nobody trains on; without names they are generated."""

    training: str = Field("", description="Robot set to train on; else new robots, by seed.")
    unseen: str = Field("", description="Robot set that nobody trains on, to judge policies.")
    folds: int = Field(
        0,
        ge=0,
        le=100,
        description="Hold out another of so many parts of the training set with each seed.",
    )

    @model_validator(mode="after")
    def _folds_part_a_set(self) -> Self:
        if self.folds == 1:
            raise ValueError("folds=1 leaves no robot to train on; expected 0, or 2 and more")
        if self.folds and self.unseen:
            raise ValueError("folds holds out robots of the training set; leave unseen out")
        if self.unseen and not self.training:
            raise ValueError(f"unseen={self.unseen} is read with a training set; name that too")
        return self


class Level(Config):
    """One setting of a factor: what it changes of the base pipeline."""

    value: float | None = Field(None, description="Its place on the factor's axis.")
    route: Route | None = Field(
        None, description="Whose policy is judged: distil or teach; write: what writes it."
    )
    limbs: int | None = Field(
        None, ge=1, le=1000, description="Limbs of the robot that a fresh network is counted on."
    )
    settings: Mapping[str, Any] = Field({}, description="Settings of stages, as --set takes them.")
    scale: Mapping[str, float] = Field(
        {}, description="Factors by which numbers of the base pipeline are multiplied."
    )

    @field_validator("settings", "scale", mode="before")
    @classmethod
    def _dotted(cls, value: Any) -> Any:
        return dict(flattened(value)) if isinstance(value, Mapping) else value


class Measure(Config):
    """A number of a policy: what it earns, keeps, costs, or how fast it was learned."""

    name: MeasureName = Field("return", description="What is measured.")
    on: Group = Field("trained", description="Robots of the training set, or unseen ones.")
    curve: str = Field("held_out_robot_loss", description="The curve of steps_to_reach.")
    fraction: float = Field(
        0.9, gt=0, lt=1, description="How much of the curve's whole change steps_to_reach asks for."
    )

    @property
    def label(self) -> str:
        """The measure in words."""
        if self.name == "steps_to_reach":
            return f"steps to {self.fraction:.0%} of {self.curve}"
        if self.name in ("return", "ratio"):
            what = "return" if self.name == "return" else "student/teacher"
            return f"{what} on {self.on} robots"
        if self.name == "latency":
            return "latency (us)"
        if self.name == "steps_to_earn_back":
            return "control steps to earn writing back"
        return self.name.replace("_", "-")

    @property
    def smaller_is_better(self) -> bool:
        """Whether less of it is more: costs and times are, returns are not."""
        return self.name not in ("return", "ratio")

    @property
    def counted(self) -> bool:
        """Whether it follows from the network alone, without chance."""
        return self.name in ("parameters", "multiply_adds")


class Comparison(Config):
    """Two combinations of levels, named by their labels, and what is expected of the first."""

    cell: str = Field(description="The combination that is judged, such as context=raw.")
    against: str = Field(description="The combination it is compared with.")
    measure: Measure = Field(Measure(), description="What is compared.")
    expected: Expectation | None = Field(None, description="What the paper says of the first.")
    margin: float = Field(
        0.05, ge=0, lt=1, description="Share of the second's value within which both are equal."
    )


class Rule(Config):
    """How sure an answer has to be."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of intervals, over all comparisons.")
    minimum_seeds: int = Field(3, ge=2, le=1000, description="Fewer seeds give no verdict.")


@dataclass(frozen=True)
class Combination:
    """One level of each factor; ``label`` names it: ``context=raw dropout=0.1``."""

    levels: tuple[tuple[str, str], ...]
    route: Route
    settings: Mapping[str, Any]
    scale: Mapping[str, float]
    limbs: int | None = None

    @property
    def label(self) -> str:
        """Its levels in words."""
        return " ".join(f"{factor}={level}" for factor, level in self.levels) or "base"


class StudyConfig(Config):
    """A whole study."""

    name: str = Field(description="What the study is called.")
    question: str = Field(description="What it asks, as a sentence.", max_length=500)
    preset: PresetName = Field("quick", description="The pipeline that levels change.")
    route: Route = Field("distil", description="Whose policy is judged: distil or teach.")
    trained: bool = Field(
        True, description="Train and judge policies; else networks are counted and timed as made."
    )
    settings: Mapping[str, Any] = Field({}, description="Settings of the base pipeline.")
    seeds: tuple[int, ...] = Field((1, 2, 3), description="Seeds, or how many, from 1.")
    robots: StudyRobots = Field(StudyRobots(), description="Robots to train on and to judge with.")
    factors: Mapping[str, Mapping[str, Level]] = Field(
        {}, description="What is varied: named levels of each factor."
    )
    ranges: Mapping[str, Range] = Field(
        {}, description="What is searched: factors whose settings lie in ranges, by name."
    )
    search: Search = Field(Search(), description="How ranges are searched.")
    measures: tuple[Measure, ...] = Field((), description="What is told of every combination.")
    compare: tuple[Comparison, ...] = Field((), description="What answers the question.")
    equal: tuple[BudgetName, ...] = Field(
        ("control_steps", "samples", "gradient_steps", "parameters"),
        description="Costs that must be alike, within 5 %, for a verdict.",
    )
    rule: Rule = Field(Rule(), description="How sure a verdict has to be.")

    @model_validator(mode="before")
    @classmethod
    def _ranges_apart(cls, document: Any) -> Any:
        """Factors that are ranges, which stand among the others in a file, as ranges."""
        factors = document.get("factors") if isinstance(document, Mapping) else None
        if not isinstance(factors, Mapping):
            return document
        found = {
            name: each
            for name, each in factors.items()
            if isinstance(each, Mapping)
            and any(not isinstance(each.get(kind, {}), Mapping) for kind in RANGE_KINDS)
        }
        if not found:
            return document
        others = {name: each for name, each in factors.items() if name not in found}
        return {**document, "factors": others, "ranges": {**document.get("ranges", {}), **found}}

    @field_validator("seeds", mode="before")
    @classmethod
    def _counted_from_one(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 1 <= value <= MOST_CELLS:
                raise ValueError(f"expected 1 to {MOST_CELLS} seeds")
            return tuple(range(1, value + 1))
        return value

    @field_validator("seeds")
    @classmethod
    def _are_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or len(set(value)) < len(value) or min(value) < 0 or max(value) >= 2**31:
            raise ValueError("expected different whole numbers from 0 to 2147483647")
        return value

    @field_validator("settings", mode="before")
    @classmethod
    def _dotted(cls, value: Any) -> Any:
        return dict(flattened(value)) if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        for name in (
            self.name,
            *self.factors,
            *itertools.chain.from_iterable(self.factors.values()),
        ):
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name[:60]!r} is no name; expected at most 40 letters, digits, _ . + and -"
                )
        for factor, levels in self.factors.items():
            if not levels:
                raise ValueError(f"factors.{factor} has no levels; expected one or more")
        count = len(self.seeds)
        for levels in self.factors.values():
            count *= len(levels)
            if count > MOST_CELLS:
                raise ValueError(f"levels and seeds make more than {MOST_CELLS} cells")
        known = [combination.label for combination in self.combinations()]
        for place, comparison in enumerate(self.compare):
            for key in ("cell", "against"):
                if getattr(comparison, key) not in known:
                    raise ValueError(
                        f"compare.{place}.{key}: found {getattr(comparison, key)!r};"
                        f" expected one of {', '.join(known)}"
                    )
        return self

    @model_validator(mode="after")
    def _searches_ranges_alone(self) -> Self:
        if not self.ranges:
            return self
        if others := [name for name in self.factors if name != TRIAL]:
            raise ValueError(
                f"factors.{others[0]} has levels beside ranges; vary one or search the other"
            )
        if self.compare:
            raise ValueError("compare: a search compares nothing; it tells which trial is best")
        if not self.trained:
            raise ValueError("trained=false: ranges are searched by what trained policies earn")
        worth = self.measured()[0]
        if worth.name in _OF_FRESH_NETWORKS:
            raise ValueError(
                f"measures: a search is for what trained policies earn; {worth.name} is a cost of"
                " networks, which may be told after another measure"
            )
        if self.search.halving and worth.smaller_is_better:
            raise ValueError(
                "search.halving stops trials by their returns while they train, and less of"
                f" {worth.name} is better; leave halving out, or measure a return first"
            )
        if self.search.halving and self.searched == "student":
            every = self.settings.get("student.return_every_steps")
            if every is None:
                raise ValueError(
                    "search.halving compares students' returns while they train; set"
                    " student.return_every_steps"
                )
        return self

    @model_validator(mode="after")
    def _asks_what_can_be_measured(self) -> Self:
        levels = [level for levels in self.factors.values() for level in levels.values()]
        if not self.trained:
            asked = next((x.name for x in self.measured() if x.name not in _OF_FRESH_NETWORKS), "")
            if asked:
                known = ", ".join(_OF_FRESH_NETWORKS)
                raise ValueError(f"trained=false: nothing measures {asked}; expected {known}")
            if self.robots != StudyRobots():
                raise ValueError("trained=false: no robots are read; leave them out")
        elif any(level.limbs for level in levels):
            raise ValueError("limbs of a level are read where trained is false")
        elif "write" in (self.route, *(level.route for level in levels)):
            raise ValueError("route=write earns nothing; it is read where trained is false")
        return self

    def combinations(self) -> list[Combination]:
        """Every combination of levels, the last factor varying fastest."""
        if self.ranges and not self.factors:
            return []  # no trial was asked for yet
        named = [
            [(factor, name, level) for name, level in levels.items()]
            for factor, levels in self.factors.items()
        ]
        return [_combined(self.route, chosen) for chosen in itertools.product(*named)]

    def pipeline(self, combination: Combination, seed: int) -> PipelineConfig:
        """The settings of every stage of a combination with a seed.

        Raises:
            ConfigError: A setting does not exist or a value is not valid.
        """
        source = f"study {self.name}"
        base = with_settings(preset(self.preset), self.settings, f"{source}, settings")
        where = f"{source}, {combination.label}:"
        scaled = dict(_scaled(base, combination.scale, where))
        changed = with_settings(base, {**combination.settings, **scaled}, where)
        whole = changed.model_copy(update={"seed": seed}).seeded().grounded()
        if whole.teacher.network.kind == _SINGLE:  # no teacher of one robot knows a mutant
            student = student_of(whole.student, whole.teacher.task.name, one_per_robot=True)
            mutation = whole.mutation.model_copy(update={"mutants_per_robot": 0})
            return whole.model_copy(update={"student": student, "mutation": mutation})
        return whole

    def comparisons(self) -> tuple[Comparison, ...]:
        """What is compared: as declared, else every combination with the first."""
        if self.compare or self.ranges:
            return self.compare
        first, *others = [combination.label for combination in self.combinations()]
        measure = self.measures[0] if self.measures else Measure()
        return tuple(Comparison(cell=cell, against=first, measure=measure) for cell in others)

    @property
    def trials(self) -> Mapping[str, Level]:
        """The trials of a search that were asked for so far."""
        return self.factors.get(TRIAL, {}) if self.ranges else {}

    @property
    def searched(self) -> Literal["teacher", "student"]:
        """Whose returns while it trains tell trials apart: of the first whose settings vary."""
        settings = [each.setting or name for name, each in self.ranges.items()]
        taught = self.route == "teach" or any(key.startswith("teacher.") for key in settings)
        return "teacher" if taught else "student"

    def measured(self) -> tuple[Measure, ...]:
        """All that is told of a combination: what is declared and what is compared."""
        compared = [comparison.measure for comparison in self.comparisons()]
        return tuple(dict.fromkeys([*self.measures, *compared])) or (Measure(),)


def _combined(route: Route, chosen: Sequence[tuple[str, str, Level]]) -> Combination:
    levels = [level for *_, level in chosen]
    routes = [level.route for level in levels if level.route is not None]
    return Combination(
        tuple((factor, name) for factor, name, _ in chosen),
        routes[-1] if routes else route,
        {key: value for level in levels for key, value in level.settings.items()},
        {key: value for level in levels for key, value in level.scale.items()},
        next((level.limbs for level in reversed(levels) if level.limbs), None),
    )


def _scaled(
    base: PipelineConfig, scale: Mapping[str, float], where: str
) -> Iterator[tuple[str, float]]:
    """Numbers of the base times their factors; whole numbers stay whole, and at least 1."""
    known = flat(base)
    for key, factor in scale.items():
        number = known.get(key)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ConfigError(f"{where} scale.{key}: expected a setting that is a number")
        scaled = number * factor
        yield key, max(round(scaled), 1) if isinstance(number, int) else scaled


def built_in_studies() -> dict[str, Path]:
    """The files of the studies that come with hdtui, by name."""
    return {path.stem: path for path in sorted(BUILT_IN_FOLDER.glob("*.toml"))}


def load_study(word: str, changes: Mapping[str, Any] | None = None) -> StudyConfig:
    """A study by its built-in name or from a TOML file, with ``changes`` of its first keys.

    Every combination's settings are checked, so that nothing of it is queued that cannot be run.

    Raises:
        UsageError: It is neither a file nor the name of a study.
        ConfigError: The file cannot be read, or holds a key or value that is not valid.
    """
    known = built_in_studies()
    path = known.get(word)
    if path is None:
        if not word.endswith(".toml"):
            names = ", ".join(known)
            raise UsageError(f"there is no study {word!r}; a FILE.toml holds one, or take {names}")
        path = Path(word)
    document = {"name": path.stem, **read_toml(path)}
    source = word if word in known else str(path)
    return checked_study(merged(document, changes or {}), source)


def merged(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A document with changes: tables are merged, all else is replaced."""
    whole = dict(document)
    for key, value in changes.items():
        before = whole.get(key)
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        whole[key] = merged(before, value) if both else value  # type: ignore[arg-type]
    return whole


def checked_study(document: Mapping[str, Any], source: str) -> StudyConfig:
    """A document as a study whose every combination can be run.

    Raises:
        ConfigError: A key or value is not valid.
    """
    try:
        study = validated(StudyConfig, document, source)
    except RecursionError:
        raise ConfigError(f"{source}: is no study: it is nested too deep") from None
    for combination in (*study.combinations(), *_ends(study)):
        study.pipeline(combination, study.seeds[0])
    return study


def _ends(study: StudyConfig) -> Iterator[Combination]:
    """A combination for each end of a search's ranges."""
    for name, each in study.ranges.items():
        for value in each.ends():
            levels = ((name, str(value)),)
            yield Combination(levels, study.route, {each.setting or name: value}, {})
