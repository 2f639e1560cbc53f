"""Metrics as people read them: their order, their names, their units."""

from collections.abc import Callable, Collection, Mapping

from hdtui.formatting import UNKNOWN, episode_return, measure, percent, rate, steps

_ORDER = (
    "return",
    "episode_return",
    "teacher_return",
    "return_unseen",
    "episode_length",
    "falls",
    "speed",
    "loss",
    "held_out_sample_loss",
    "held_out_robot_loss",
    "value_loss",
    "policy_loss",
    "approximate_kl",
    "clip_fraction",
    "explained_variance",
    "action_std",
    "learning_rate",
    "gradient_norm",
    "steps_per_second",
    "samples_per_s",
)
_NAMES = {
    "approximate_kl": "KL",
    "steps_per_second": "steps per second",
    "samples_per_s": "samples per second",
    "held_out_sample_loss": "loss, held-out samples",
    "held_out_robot_loss": "loss, held-out robots",
}
_RATES = ("steps_per_second", "samples_per_s")
_WORDS: Mapping[str, Callable[[float], str]] = {
    "speed": lambda value: f"{value:.2f} m/s",
    "episode_length": steps,
}


_EVALUATED = ("mean_return", "ratio", "difference", "fall_fraction")
_POLICIES = ("teacher", "student", "random", "zero")


def metric_order(name: str) -> tuple[int, int, str]:
    """Sorts returns first, shares of time last; of evaluated policies the mean returns first."""
    if name.startswith("share_"):
        return len(_ORDER) + 1, 0, name
    policy, _, what = name.rpartition(".")
    if policy and what in _EVALUATED:
        known = _POLICIES.index(policy) if policy in _POLICIES else len(_POLICIES)
        return _EVALUATED.index(what) - len(_EVALUATED), known, name
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER)), 0, name


def is_bound(name: str, names: Collection[str]) -> bool:
    """Whether the metric is a bound of another one's interval."""
    return any(name.endswith(end) and name.removesuffix(end) in names for end in ("_low", "_high"))


def value_with_interval(name: str, values: Mapping[str, float | None]) -> str:
    """The value, with half the width of its interval where that is known."""
    low, high = values.get(f"{name}_low"), values.get(f"{name}_high")
    shown = metric_value(name, values.get(name))
    if low is None or high is None:
        return shown
    return f"{shown} ± {metric_value(name, (high - low) / 2)}"


def metric_label(name: str) -> str:
    """The name without underscores; a few have their own."""
    return _NAMES.get(name, name.replace("_", " ").replace(".", " "))


def metric_value(name: str, value: float | None) -> str:
    """The value with the unit of the metric."""
    if value is None:
        return UNKNOWN
    if "return" in name or name.endswith(".difference"):
        return episode_return(value)
    if name.startswith("share_"):
        return percent(value)
    if name in _RATES:
        return rate(value).removesuffix("/s")
    return _WORDS.get(name, measure)(value)
