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
    """Moving averages over the rounds of one network: seconds per round, and per row of a round."""

    round_seconds: float
    row_seconds: float


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a model is drawn: rows that fit a round, and the networks measured lately."""

    capacity: int
    stages: Mapping[Stage, StagePace]

    def encode(self) -> dict[str, str | int | float]:
        """The fields of the hash at `pace_key`."""
        fields: dict[str, str | int | float] = {"capacity": self.capacity}
        for stage, pace in self.stages.items():
            fields |= {f"{stage}:round": pace.round_seconds, f"{stage}:row": pace.row_seconds}
        return fields

    @classmethod
    def decode(cls, fields: Fields) -> Self | None:
        """From the hash; None for an empty one: nothing was measured lately."""
        if b"capacity" not in fields:
            return None
        number = {key.decode(): float(value) for key, value in fields.items()}
        measured = (stage for stage in Stage if f"{stage}:round" in number)
        return cls(
            capacity=int(number["capacity"]),
            stages={
                stage: StagePace(round_seconds=number[f"{stage}:round"], row_seconds=number[f"{stage}:row"])
                for stage in measured
            },
        )
