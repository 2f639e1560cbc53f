"""Every setting of every stage has its type and sensible bounds, and says so itself."""

import math
from typing import Any

import pytest

from engine.config.base import Config
from engine.config.distillation import StudentConfig
from engine.config.overrides import flat, setting_names, with_assignments, with_settings
from engine.config.presets import PRESETS, PipelineConfig
from engine.config.robots import MutationConfig
from engine.config.teacher import TeacherConfig
from engine.errors import ConfigError

LARGEST = 2**63
EXTREMES = (
    *("true", "false", '"5"', '"true"', "null", "", "x", "[]", "{}", "[1,0]", "[0,0]", "[-1,-2]"),
    *("1e308", "-1e308", "1e309", "NaN", "Infinity", "-1", "0", "0.5", "10" * 15, "1" * 5000),
    *("[1e308,1e308]", "[true,1]", '["1",1]', "[1e-5,Infinity]", "[" * 10_000, "\ud800"),
)


@pytest.mark.parametrize("key", list(setting_names(PipelineConfig)))
def test_an_extreme_value_is_refused_by_its_setting_or_within_sensible_bounds(key: str) -> None:
    start = PRESETS["quick"]
    before = flat(start)[key]
    for text in EXTREMES:
        try:
            taken = flat(with_assignments(start, [f"{key}={text}"]))[key]
        except ConfigError:
            continue
        numbers = taken if isinstance(taken, tuple) else (taken,)
        for number in numbers:
            if isinstance(number, float | int):
                assert math.isfinite(number)
                assert abs(number) < LARGEST
        if taken is not None and before is not None:
            assert type(taken) is type(before)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"ppo.epochs": True}, "ppo.epochs"),
        ({"seed": "5"}, "seed"),
        ({"ppo.learn_action_std": 1}, "ppo.learn_action_std"),
        ({"ppo.learn_action_std": "yes"}, "ppo.learn_action_std"),
        ({"total_env_steps": 10**29}, "total_env_steps"),
        ({"time_limit_s": 1e300}, "time_limit_s"),
        ({"ppo.value_clip_range": 1e308}, "ppo.value_clip_range"),
        ({"ppo.gradient_norm": 1e308}, "ppo.gradient_norm"),
        ({"ppo.learning_rate_limits": [1, 0]}, "ppo.learning_rate_limits"),
        ({"ppo.learning_rate_limits": [0, 0]}, "ppo.learning_rate_limits"),
        ({"ppo.learning_rate_limits": [-1, -2]}, "ppo.learning_rate_limits"),
        ({"ppo.learning_rate_limits": [1e308, 1e308]}, "ppo.learning_rate_limits"),
        ({"ppo.learning_rate_limits": [True, 1]}, "ppo.learning_rate_limits"),
    ],
)
def test_a_value_without_sense_is_refused_by_name(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=f"^--set {key}"):
        with_settings(TeacherConfig(), settings, "--set")


def test_a_whole_number_may_be_written_with_an_exponent() -> None:
    chosen = with_assignments(TeacherConfig(), ["total_env_steps=2e6", "ppo.learning_rate=1"])
    assert chosen.total_env_steps == 2_000_000
    assert type(chosen.total_env_steps) is int
    assert type(chosen.ppo.learning_rate) is float


@pytest.mark.parametrize(
    ("config", "settings", "both"),
    [
        (MutationConfig, {"min_operations": 9}, ("min_operations=9", "max_operations=3")),
        (StudentConfig, {"epochs": 3, "correction_rounds": 4}, ("epochs=3", "correction_rounds=4")),
        (TeacherConfig, {"network.heads": 3}, ("heads=3", "width=64")),
        (
            TeacherConfig,
            {"ppo.minibatches": 5000},
            ("simulations_per_robot=16", "ppo.horizon=64", "ppo.minibatches=5000"),
        ),
    ],
)
def test_a_contradiction_names_both_settings(
    config: type[Config], settings: dict[str, Any], both: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as refused:
        with_settings(config(), settings, "--set")
    assert all(words in str(refused.value) for words in both)


def test_settings_as_they_were_stored_open_again() -> None:
    for preset in PRESETS.values():
        assert PipelineConfig.model_validate(preset.model_dump(mode="json")) == preset
