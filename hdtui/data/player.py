"""The clock of a film, and how many frames a second a terminal can be sent."""

from collections import deque
from dataclasses import dataclass

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
RATES = (15, 10, 8, 6, 4)
WINDOW_FRAMES = 24


def highest_rate(one: bool, few_colours: bool) -> int:
    """Frames a second at most: one robot or two, in 16 colours or in true colour."""
    if few_colours:
        return 10 if one else 8
    return 8 if one else 4


@dataclass
class Player:
    """Where a film stands, how fast it goes, and whether it is held."""

    duration_s: float = 0.0
    time_s: float = 0.0
    speed: float = 1.0
    held: bool = False

    def start(self, duration_s: float) -> None:
        """Another film, from its beginning."""
        self.duration_s, self.time_s = duration_s, 0.0

    def advance(self, elapsed_s: float) -> None:
        """Let time pass; the film stops at its end."""
        if not self.held:
            self.seek(self.time_s + elapsed_s * self.speed)
            self.held = self.time_s >= self.duration_s

    def seek(self, time_s: float) -> None:
        """Go to a moment, within the film."""
        self.time_s = min(max(0.0, time_s), self.duration_s)

    def toggle(self) -> None:
        """Hold or continue; at the end, start again."""
        if self.held and self.time_s >= self.duration_s:
            self.time_s = 0.0
        self.held = not self.held

    def change_speed(self, steps: int) -> None:
        """Faster or slower, 0.1 to 4 times."""
        place = SPEEDS.index(self.speed) + steps
        self.speed = SPEEDS[min(max(0, place), len(SPEEDS) - 1)]


class FrameRate:
    """Chooses frames a second by what the last frames cost."""

    def __init__(self, bytes_per_s: float) -> None:
        self._limit_bytes_per_s = bytes_per_s
        self._costs: deque[float] = deque(maxlen=WINDOW_FRAMES)

    def restart(self) -> None:
        """Forget what other films cost."""
        self._costs.clear()

    def note(self, frame_bytes: float) -> None:
        self._costs.append(frame_bytes)

    def best(self, highest: int) -> int:
        """The highest of 15, 10, 8, 6 and 4 that is paid for and not above ``highest``."""
        mean_bytes = sum(self._costs) / max(1, len(self._costs))
        affordable = (rate for rate in RATES if rate * mean_bytes <= self._limit_bytes_per_s)
        return next((rate for rate in affordable if rate <= highest), RATES[-1])
