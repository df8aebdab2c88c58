"""Which pictures advance next. Pure: no Redis, no RQ, no torch.

A batch holds pictures that stand at one network. The policy, in this order:

1. a picture that was passed over `PATIENCE` times goes first, and its network with it: nobody starves;
2. a newcomer goes next: its first slice is what a person waits for;
3. else the network where most pictures stand: the fullest batch.

Within a network, who waited longest goes first, then who came first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from models.config import Stage

PATIENCE = 4
"""Rounds a picture may be passed over before it leads."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A live picture: `waited` rounds since its last slice, `drawn` slices, `arrival` an ever growing number."""

    job: str
    image: int
    stage: Stage
    drawn: int
    waited: int
    arrival: int


def choose(rows: Sequence[Row], capacity: int) -> list[Row]:
    """At most `capacity` rows of one stage; empty only without rows."""
    ranked = sorted(rows, key=lambda row: (-row.waited, row.arrival, row.image))
    if not ranked:
        return []
    stage = leading_stage(ranked)
    return [row for row in ranked if row.stage is stage][:capacity]


def leading_stage(ranked: Sequence[Row]) -> Stage:
    """The network whose turn it is, for rows in order of their waiting."""
    if ranked[0].waited >= PATIENCE:
        return ranked[0].stage
    if newcomer := next((row for row in ranked if row.drawn == 0), None):
        return newcomer.stage
    return Counter(row.stage for row in ranked).most_common(1)[0][0]
