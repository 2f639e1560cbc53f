"""Metrics as people read them: their order, their names, their units."""

from collections.abc import Callable, Mapping

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


def metric_order(name: str) -> tuple[int, str]:
    """Sorts returns first, shares of time last."""
    if name.startswith("share_"):
        return len(_ORDER) + 1, name
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER)), name


def metric_label(name: str) -> str:
    """The name without underscores; a few have their own."""
    return _NAMES.get(name, name.replace("_", " "))


def metric_value(name: str, value: float | None) -> str:
    """The value with the unit of the metric."""
    if value is None:
        return UNKNOWN
    if "return" in name:
        return episode_return(value)
    if name.startswith("share_"):
        return percent(value)
    if name in _RATES:
        return rate(value).removesuffix("/s")
    return _WORDS.get(name, measure)(value)
