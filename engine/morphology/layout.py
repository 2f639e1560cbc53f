"""A feature vector described once, by name and width; slices come from the description."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class FeatureLayout:
    """Names and widths of the columns of a feature vector, in order."""

    features: tuple[tuple[str, int], ...]

    @cached_property
    def width(self) -> int:
        """F: how many columns there are."""
        return sum(width for _, width in self.features)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Columns of each feature, by name."""
        slices: dict[str, slice] = {}
        start = 0
        for name, width in self.features:
            slices[name] = slice(start, start + width)
            start += width
        return slices

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in column order."""
        return tuple(name for name, _ in self.features)

    def __getitem__(self, name: str) -> slice:
        return self.slices[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)
