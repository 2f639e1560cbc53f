"""Axis limits and ticks that people can read: steps of 1, 2, 2.5, 4, 5 times a power of ten."""

import math

from hdtui.formatting import duration, measure

SMALLEST_SPREAD = 1e-9
_LABEL_COLUMNS = 8
"""A label on the x axis, 12.5M at most, and the space around it."""
NICE = (1.0, 2.0, 2.5, 4.0, 5.0, 10.0)


def nice_step(spread: float, most_ticks: int) -> float:
    """The smallest readable step that needs at most ``most_ticks`` steps for the spread."""
    rough = max(spread, 1e-12) / max(1, most_ticks)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in NICE if factor * power >= rough * (1 - 1e-9))


def nice_limits(low: float, high: float, most_ticks: int) -> tuple[float, float, float]:
    """Limits on readable steps around ``low`` and ``high``, and the step."""
    size = max(abs(low), abs(high))
    if high - low <= max(size * 1e-6, SMALLEST_SPREAD):
        pad = size * 0.1 if size > SMALLEST_SPREAD else 1.0
        low, high = low - pad, high + pad
    if -0.02 * high < low < 0.35 * high:
        low = 0.0
    step = nice_step(high - low, most_ticks)
    bottom = math.floor(low / step + 1e-9) * step
    top = math.ceil(high / step - 1e-9) * step
    return bottom, top, step


def ticks(low: float, high: float, step: float) -> list[float]:
    """Multiples of the step from low to high."""
    count = round((high - low) / step)
    return [low + index * step for index in range(count + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Base-10 logarithms of round numbers from low to high: decades, or 1, 2, 5 where few fit."""
    decades = [float(power) for power in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)]
    if len(decades) >= min(3, most):
        return decades[:: max(1, -(-len(decades) // most))]
    found = [
        power + math.log10(factor)
        for power in range(math.floor(low), math.ceil(high) + 1)
        for factor in (1.0, 2.0, 5.0)
    ]
    return [tick for tick in found if low - 1e-9 <= tick <= high + 1e-9] or [low, high]


def log_ticks_in_columns(low: float, high: float, columns: int) -> list[float]:
    """Log ticks for an axis of ``columns`` cells: no two closer than their labels are wide.

    Three decades stand alone; fewer get 2 and 5 times them, or even steps within less than a
    decade. Where not all have room, powers of ten stay.
    """
    room = max(1, columns // _LABEL_COLUMNS)
    found = log_ticks(low, high, 99)
    if len(found) < 3 and high - low < 1.0:
        found = _even_ticks(low, high, room)
    apart = _LABEL_COLUMNS * (high - low) / max(1, columns)
    if all(tick == round(tick) for tick in found):
        return found[:: max(1, math.ceil(apart))]
    kept: list[float] = []
    for tick in sorted(found, key=lambda tick: (abs(tick - round(tick)) > 1e-9, tick)):
        if all(abs(tick - other) >= apart for other in kept):
            kept.append(tick)
    return sorted(kept)


def _even_ticks(low: float, high: float, most: int) -> list[float]:
    """Logarithms of multiples of a readable step."""
    least, largest = 10.0**low, 10.0**high
    step = nice_step(largest - least, min(most, 5))
    first = math.ceil(least / step - 1e-9)
    return [
        math.log10(step * number) for number in range(first, int(largest / step + 1e-9) + 1)
    ] or [low, high]


def tick_label(value: float, step: float, largest: float | None = None) -> str:
    """A tick in as few digits as its step needs, in the unit of the largest: 0, 1600, 0.5M."""
    if value == 0 or abs(value) < step * 1e-9:
        return "0"
    size = max(abs(value), step, largest or 0.0)
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= unit * (1 if letter != "M" else 0.5):
            scale = 1e3 if letter == "k" else unit
            digits = f"{value / scale:.{_digits(step / scale)}f}"
            return f"{digits.removesuffix('.0')}{letter}"
    if size < 1e-3:
        return measure(value)
    return f"{value:.{_digits(step)}f}"


def _digits(step: float) -> int:
    for digits in range(4):
        if abs(step * 10**digits - round(step * 10**digits)) < 1e-6 * 10**digits:
            return digits
    return 4


def time_step(spread_s: float, most_ticks: int) -> float:
    """A step for an axis of seconds: whole seconds, minutes, hours."""
    for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200):
        if spread_s / step <= most_ticks:
            return float(step)
    return nice_step(spread_s / 86400, most_ticks) * 86400


def time_label(seconds: float) -> str:
    """A tick of an axis of seconds."""
    if seconds and seconds % 60 == 0 and seconds < 3600:
        return f"{seconds / 60:.0f}m"
    if seconds and seconds % 3600 == 0:
        return f"{seconds / 3600:.0f}h"
    return duration(seconds) if seconds else "0"
