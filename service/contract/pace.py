"""Pace of a model: the cost of its rounds, measured by its workers and read for the estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Self

from models.config import Stage
from service.contract.record import Fields

PACE_SECONDS = 900
"""Lifetime of a measurement. A dead worker's expires; a live worker's is replaced after its next round."""


@dataclass(frozen=True, kw_only=True)
class StagePace:
    """Cost of a round of one network, including the publishing of its slices: a fixed cost plus a cost per turn."""

    fixed_seconds: float
    turn_seconds: float

    def round_seconds(self, turns: int) -> float:
        """Return the seconds of a round of `turns` turns."""
        return self.fixed_seconds + self.turn_seconds * turns


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Pace of a model: lanes that fit in a round, threads that share them, and the measured networks.

    `job_seconds`: the time beside the rounds to take one job and to end it.
    """

    capacity: int
    stages: Mapping[Stage, StagePace]
    threads: int = 1
    job_seconds: float = 0.0

    def round_seconds(self, stage: Stage, lanes: int) -> float:
        """Return the seconds of a round of `lanes` lanes (`service.contract.lanes`)."""
        return self.stages[stage].round_seconds(ceil(lanes / self.threads))

    def encode(self) -> dict[str, str | int | float]:
        """Return the fields of the hash at `pace_key`."""
        fields: dict[str, str | int | float] = {
            "capacity": self.capacity,
            "threads": self.threads,
            "job": self.job_seconds,
        }
        for stage, pace in self.stages.items():
            fields |= {f"{stage}:fixed": pace.fixed_seconds, f"{stage}:turn": pace.turn_seconds}
        return fields

    @classmethod
    def decode(cls, fields: Fields) -> Self | None:
        """Read the hash; None for an empty one, or one of another release: nothing usable was measured lately."""
        try:
            return cls._decode(fields)
        except (KeyError, ValueError):
            return None

    @classmethod
    def _decode(cls, fields: Fields) -> Self:
        number = {key.decode(): float(value) for key, value in fields.items()}
        measured = (stage for stage in Stage if f"{stage}:fixed" in number)
        return cls(
            capacity=int(number["capacity"]),
            threads=int(number["threads"]),
            stages={
                stage: StagePace(fixed_seconds=number[f"{stage}:fixed"], turn_seconds=number[f"{stage}:turn"])
                for stage in measured
            },
            job_seconds=number["job"],
        )
