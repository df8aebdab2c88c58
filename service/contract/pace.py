"""How fast a model is drawn: measured by its workers, read for the estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from models.config import Stage
from service.contract.record import Fields

PACE_SECONDS = 900
"""How long a measured pace is believed. A dead worker's is gone then; a live one's is overwritten by its next round."""


@dataclass(frozen=True, kw_only=True)
class StagePace:
    """What a round of one network costs, the publishing of its slices included: so much in any case, so much for each row."""

    fixed_seconds: float
    row_seconds: float

    def round_seconds(self, rows: float) -> float:
        """A round of so many rows."""
        return self.fixed_seconds + self.row_seconds * rows


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a model is drawn: rows that fit a round, the networks measured lately, and what it takes beside the rounds
    to take a job and to see it off.
    """

    capacity: int
    stages: Mapping[Stage, StagePace]
    job_seconds: float = 0.0

    def encode(self) -> dict[str, str | int | float]:
        """The fields of the hash at `pace_key`."""
        fields: dict[str, str | int | float] = {"capacity": self.capacity, "job": self.job_seconds}
        for stage, pace in self.stages.items():
            fields |= {f"{stage}:fixed": pace.fixed_seconds, f"{stage}:row": pace.row_seconds}
        return fields

    @classmethod
    def decode(cls, fields: Fields) -> Self | None:
        """From the hash; None for an empty one: nothing was measured lately."""
        if b"capacity" not in fields:
            return None
        number = {key.decode(): float(value) for key, value in fields.items()}
        measured = (stage for stage in Stage if f"{stage}:fixed" in number)
        return cls(
            capacity=int(number["capacity"]),
            stages={
                stage: StagePace(fixed_seconds=number[f"{stage}:fixed"], row_seconds=number[f"{stage}:row"])
                for stage in measured
            },
            job_seconds=number["job"],
        )
