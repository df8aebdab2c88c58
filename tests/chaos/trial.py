"""What a trial finds, and what the rows of the matrix are made of."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.deadlines import within
from tests.chaos.stand import Plan, Stand
from tests.chaos.submitted import SEEDS, References
from tests.chaos.watch import Watch

BATCH = 8
"""Jobs of most trials."""

RESUME_SECONDS = 15
"""A fault may not delay any job for longer."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A trial in which all held: the slowest recovery, what is to be counted, and the worst of some measures."""

    recovery_seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    worst: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One repetition: the stand it is on, its number in the row, its rng, the reference pixels."""

    stand: Stand
    number: int
    rng: random.Random
    references: References

    def watch(self, *, streams: int = 1) -> Watch:
        """Eight ordinary jobs."""
        return Watch(self.stand, self.references, self.rng.sample(SEEDS, BATCH), streams=streams)

    def pause(self, least: float, most: float) -> None:
        """A random while."""
        time.sleep(self.rng.uniform(least, most))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault, how often it is tried, what must hold, and the stand it is tried on."""

    name: str
    fault: str
    must: str
    repeats: int
    quick: int
    trial: Callable[[Trial], Found]
    plan: Plan = field(default_factory=Plan)


def resumed(watch: Watch, since: float) -> Found:
    """All end as if nothing had been, and went on in time after `since`. Raises NotHeldError."""
    return Found(recovery_seconds=within(watch.ended(since=since), RESUME_SECONDS, "resuming"))
