"""Metrics as people read them: their order, their names, their units."""

from collections.abc import Callable, Collection, Mapping

from hdtui.formatting import UNKNOWN, episode_return, measure, percent, rate, shorten, steps

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
    "held_out_loss": "loss, held out",
    "held_out_sample_loss": "loss, held-out samples",
    "held_out_robot_loss": "loss, held-out robots",
}
_SHORT: Mapping[str, tuple[str, ...]] = {
    "held_out_sample_loss": ("held-out samples",),
    "held_out_robot_loss": ("held-out robots",),
}
"""Shorter whole names, for lists without room."""
_SHORT_ENDS: Mapping[str, tuple[str, ...]] = {
    "interquartile_mean_return": ("{policy} IQM", "IQM"),
    "mean_return": ("{policy} return", "return"),
    "fall_fraction": ("{policy} falls", "falls"),
    "difference": ("difference",),
}
"""The same for what an evaluation says of a policy."""
_RATES = ("steps_per_second", "samples_per_s")
_WORDS: Mapping[str, Callable[[float], str]] = {
    "speed": lambda value: f"{value:.2f} m/s",
    "episode_length": steps,
}


_EVALUATED = (
    "mean_return",
    "interquartile_mean_return",
    "ratio",
    "difference",
    "fall_fraction",
)
_POLICIES = ("teacher", "student", "random", "zero")


def policy_order(policy: str) -> tuple[int, str]:
    """Sorts the policies of an evaluation: teacher, student, then those that know nothing."""
    first = policy.split(" ")[0]
    return (_POLICIES.index(first) if first in _POLICIES else len(_POLICIES)), policy


def metric_order(name: str) -> tuple[int, int, str]:
    """Sorts returns first, shares of time last; of evaluated policies the mean returns first."""
    if name.startswith("share_"):
        return len(_ORDER) + 1, 0, name
    policy, _, what = name.rpartition(".")
    if policy and what in _EVALUATED:
        return _EVALUATED.index(what) - len(_EVALUATED), policy_order(policy)[0], name
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


def short_label(name: str, room: int) -> str:
    """The longest of the metric's names that fits, else the shortest with its middle left out."""
    policy, _, what = name.rpartition(".")
    shorter = _SHORT.get(name, ())
    if policy:
        shorter = tuple(each.format(policy=policy) for each in _SHORT_ENDS.get(what, ()))
    names = (metric_label(name), *shorter)
    return next((each for each in names if len(each) <= room), shorten(names[-1], room))


def metric_value(name: str, value: float | None) -> str:
    if value is None:
        return UNKNOWN
    if "return" in name or name.endswith(".difference"):
        return episode_return(value)
    if name.startswith("share_"):
        return percent(value)
    if name in _RATES:
        return rate(value).removesuffix("/s")
    return _WORDS.get(name, measure)(value)
