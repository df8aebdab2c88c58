"""Proportions with their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

_Z: Final = 1.959964


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """The proportion of `right` among `count`."""

    right: int
    count: int

    @classmethod
    def of(cls, hits: Sequence[bool]) -> Proportion:
        """Return the proportion of true values."""
        return cls(right=sum(map(bool, hits)), count=len(hits))

    @property
    def value(self) -> float:
        """The proportion from 0 to 1; 0 for no items."""
        return self.right / self.count if self.count else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of Wilson (1927)."""
        if not self.count:
            return 0.0, 1.0
        n, p, z = self.count, self.value, _Z
        middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} ({low:.1%} to {high:.1%})"
