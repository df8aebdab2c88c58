"""Which pictures advance next. Pure: no Redis, no RQ, no torch.

A batch holds pictures that stand at one network: as many of those as there are, up to the capacity. The capacity counts
lanes: a picture takes one, but at the base one for each candidate, and two of each where guidance acts. So all full rounds
take about as long, and a job with many candidates pays for them itself. A picture dearer than the capacity goes alone.
Whose network it is:

1. newcomers', since a first slice is what a person waits for, and in that batch their seats come first. But never twice
   running: every second batch at least follows 2 and 3.
2. that of the picture that was passed over longest, once that is PATIENCE rounds;
3. the one with the fullest batch, and of several the one where somebody has waited longest.

Seats go to who waited longest, then to who came first; whoever does not fit any more closes the batch, so nobody cheap
slips past somebody dear.

What follows, with c the capacity, L the lanes live at a time, k the networks they stand at (three at most), and
turns(n) = (n + k (c - 1)) // c, the batches that n pictures of one lane need however they are spread over the networks
(pictures of up to d lanes, n in all: (n + k (c - d)) // (c - d + 1), as a batch may close d - 1 lanes short):

- **nobody is passed over more than PATIENCE + 2 turns(L) - 1 times** between two slices: after PATIENCE rounds only those
  who have waited longer go first, their number only falls, and every second batch is for them;
- **a newcomer is passed over 2 turns(n) - 1 times at most**, n newcomers waiting at once (itself counted): with n up to c
  at one network at most once, and not at all unless the batch before was for newcomers too;
- so a picture of K slices ends within K (PATIENCE + 2 turns(L)) rounds of its admission, whatever else arrives.

`worker.batch` admits jobs in the order of the queue while fewer than ROOM c lanes are live, so L < ROOM c + 16 d lanes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from models.config import Stage

PATIENCE = 4
"""Rounds a picture may be passed over before it leads."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A live picture: `drawn` slices since it joined, `waited` rounds since the last, `arrival` an ever growing number.

    `lanes`: what its next slice takes of the capacity (`service.contract.lanes`).
    """

    job: str
    image: int
    stage: Stage
    drawn: int
    waited: int
    arrival: int
    lanes: int = 1


class Scheduler:
    """Chooses batch after batch; all it remembers is whether the last one was for newcomers."""

    def __init__(self) -> None:
        self._welcomed = False

    def choose(self, rows: Sequence[Row], capacity: int) -> list[Row]:
        """Rows of one stage, at most `capacity` lanes or a single row; empty only without rows."""
        ranked = sorted(rows, key=lambda row: (-row.waited, row.arrival, row.image))
        newcomers = [row for row in ranked if row.drawn == 0]
        self._welcomed = bool(newcomers) and not self._welcomed
        if self._welcomed:
            return seated([*newcomers, *(row for row in ranked if row.drawn)], newcomers[0].stage, capacity)
        return seated(ranked, leading_stage(ranked, capacity), capacity) if ranked else []


def seated(ranked: Sequence[Row], stage: Stage, capacity: int) -> list[Row]:
    """The first rows of `stage`, as many as fit, and one in any case."""
    rows = [row for row in ranked if row.stage is stage]
    ends = accumulate(row.lanes for row in rows)
    return [row for number, (row, end) in enumerate(zip(rows, ends, strict=True)) if not number or end <= capacity]


def leading_stage(ranked: Sequence[Row], capacity: int) -> Stage:
    """The network whose turn it is where newcomers have no say, for rows in order of their waiting."""
    if ranked[0].waited >= PATIENCE:
        return ranked[0].stage
    sizes = Counter[Stage]()
    for row in ranked:
        sizes[row.stage] += row.lanes
    return max(sizes, key=lambda stage: min(sizes[stage], capacity))  # of equals the first: who waited longest
