"""How the cockpit writes numbers, durations, times and names; unknown is ``·``, never 0.

A number that was measured and is not finite is no unknown one: it is NaN, inf or -inf.
"""

import math
import shlex
from datetime import datetime

from engine.text import printable as without_controls

UNKNOWN = "·"
_MANY_DIGITS = 1e15
_SIZES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def odd(value: float | None) -> str:
    """What stands for a number without digits of its own: ``·``, NaN, inf, -inf; else nothing."""
    if value is None:
        return UNKNOWN
    if math.isnan(value):
        return "NaN"
    return "" if math.isfinite(value) else "inf" if value > 0 else "-inf"


def steps(value: float | None) -> str:
    """A number of steps or samples: 912, 2 334, 96k, 1.2M."""
    if value is None or not math.isfinite(value):
        return odd(value)
    if abs(value) < 10_000:
        return grouped(value)
    if abs(value) >= _MANY_DIGITS:
        return _scientific(value)
    for size, letter in _SIZES:
        if abs(value) >= size * 0.9995:
            scaled = value / size
            digits = 0 if letter == "k" or abs(scaled) >= 100 else 1
            return f"{scaled:.{digits}f}{letter}"
    return grouped(value)


def amount(value: float | None) -> str:
    """Parameters and multiply-adds with three digits: 70.5k, 1.66M, 19.9M."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if abs(value) >= _MANY_DIGITS:
        return _scientific(value)
    for size, letter in _SIZES:
        if abs(value) >= size * 0.9995:
            return f"{_three_digits(value / size)}{letter}"
    return grouped(value)


def _three_digits(value: float) -> str:
    size = abs(value)
    return f"{value:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}"


def grouped(value: float) -> str:
    """A whole number with a gap between thousands: 2 334; 1.0e39 where its digits say nothing."""
    if not abs(value) < _MANY_DIGITS:
        return odd(value) or _scientific(value)
    return f"{round(value):,}".replace(",", " ")


def rate(value: float | None, unit: str = "") -> str:
    """Units per second: 3.7k/s, 31/s, 3.1/s; ``unit`` goes before the stroke."""
    if value is None or not math.isfinite(value) or value <= 0:
        return UNKNOWN
    if value < 9.95:
        text = f"{value:.1f}"
    elif value < 999.5:
        text = f"{value:.0f}"
    elif value < 999_500:
        text = f"{value / 1e3:.{1 if value < 99_500 else 0}f}k"
    else:
        text = f"{value / 1e6:.1f}M"
    return f"{text}{unit}/s"


def episode_return(mean: float | None, half_width: float | None = None) -> str:
    """A return as a whole number, with the half width of its 95 % interval where known."""
    if mean is None or not math.isfinite(mean):
        return odd(mean)
    if half_width is None or not math.isfinite(half_width):
        return grouped(mean)
    return f"{grouped(mean)} ± {grouped(half_width)}"


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """A return as a whole number with the bounds of its interval where known: 125 [14, 309]."""
    if value is None:
        return UNKNOWN
    mean, *bounds = (
        each if each is None else odd(each) or f"{each:.0f}" for each in (value, low, high)
    )
    return str(mean) if None in bounds else f"{mean} [{bounds[0]}, {bounds[1]}]"


def times(value: float | None) -> str:
    """How many times another's something is, with an x whatever its size: 0.15x, 8.10x, 160.8x."""
    words = ratio(value)
    return words if words == UNKNOWN or words.endswith("x") else f"{words}x"


def measure(value: float | None) -> str:
    """A loss or another small number: 0.013, -0.008, 8.4e-4 below 0.001, 2 334 above 1000."""
    if value is None or not math.isfinite(value):
        return odd(value)
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.001:
        return _scientific(value)
    if size >= 999.5:
        return steps(value) if size >= 10_000 else grouped(value)
    digits = 3 if size < 0.0995 else 2 if size < 9.995 else 1 if size < 99.95 else 0
    return f"{value:.{digits}f}"


def _scientific(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def setting(value: object) -> str:
    """The value of a setting as one would type it: 2.0M, 1e-3, yes, none."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return steps(value) if abs(value) >= 100_000 else str(value)
    if isinstance(value, float):
        return _plain_float(value)
    if isinstance(value, list | tuple):
        return " ".join(setting(item) for item in value) or "none"
    return printable(str(value))


def _plain_float(value: float) -> str:
    size = abs(value)
    if value == round(value) and size >= 100_000:
        return steps(value)
    if size and (size < 0.01 or size >= 1e6):
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:g}"


def ratio(value: float | None) -> str:
    """A ratio of like things: 0.99; ten and more get an x: 13.3x, 160.8x."""
    if value is None or not math.isfinite(value):
        return odd(value)
    return f"{value:.1f}x" if abs(value) >= 9.995 else f"{value:.2f}"


def percent(share: float | None) -> str:
    """A share between 0 and 1 as 61 %."""
    if share is None or not math.isfinite(share):
        return odd(share)
    return f"{math.floor(share * 100 + 0.5)} %"


def size(num_bytes: float | None) -> str:
    """Bytes in KiB, MiB, GiB, TiB."""
    if num_bytes is None or not math.isfinite(num_bytes):
        return UNKNOWN
    if num_bytes < 1024:
        return f"{num_bytes:.0f} B"
    value = float(num_bytes)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 999.5:
            return f"{value:.{1 if value < 9.95 and unit != 'KiB' else 0}f} {unit}"
    return f"{value / 1024:.1f} TiB"


def duration(seconds: float | None) -> str:
    """A duration in two units at most: 740 ms, 9s, 12m 04s, 3h 07m, 2d 04h."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if 0 < seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    minutes = whole // 60
    if minutes < 24 * 60:
        return f"{minutes // 60}h {minutes % 60:02d}m"
    return f"{minutes // 1440}d {minutes % 1440 // 60:02d}h"


def moment(at: datetime | None, now: datetime) -> str:
    """A time of day today, 11-20 14:32 this year, 2025-11-20 before; in the zone of ``now``."""
    if at is None:
        return UNKNOWN
    local = at.astimezone(now.tzinfo)
    if local.date() == now.date():
        return local.strftime("%H:%M:%S")
    if local.year == now.year:
        return local.strftime("%m-%d %H:%M")
    return local.strftime("%Y-%m-%d")


def date_and_time(at: datetime | None, now: datetime) -> str:
    """A moment with its date: 2026-11-21 09:14."""
    return UNKNOWN if at is None else at.astimezone(now.tzinfo).strftime("%Y-%m-%d %H:%M")


def printable(text: str) -> str:
    """Text from outside on one line, however long: control and format characters become ``·``."""
    return text if text.isascii() and text.isprintable() else without_controls(text, len(text))


def shorten(name: str, width: int) -> str:
    """``name`` in at most ``width`` characters, its middle left out."""
    if len(name) <= width:
        return name
    if width <= 1:
        return "…"[:width]
    head = width // 2
    tail = width - 1 - head
    return f"{name[:head]}…{name[len(name) - tail :]}"


def words_of(text: str) -> list[str]:
    """The words of a row, quoted ones as one; while a quote is open, those between blanks."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
