"""The choice of the rows that advance next. Pure: no Redis, no RQ, no torch.

A round has rows of one network: as many as wait there, up to the capacity. The capacity counts lanes. A row takes one lane;
a base row takes one lane per candidate, and twice as many with guidance. So all full rounds take about the same time, and a
job with many candidates pays for them itself. A row with more lanes than the capacity advances alone.

The network is chosen by these rules:

1. That of new interactive rows, because a person waits for the first slice; new rows then have the first places. Never in
   two rounds in a row: at least every second round follows rules 2 to 4.
2. That of the row that waited longest, once it has waited WAIT_LIMIT_ROUNDS.
3. That of the prompt row that waited longest, once it has waited PROMPT_LIMIT_ROUNDS. A row is prompt if it is interactive
   and its owner has fewer interactive lanes than an equal part of all. So an owner with many images does not slow down one
   with few.
4. That with the fullest round; of several, the one whose row waited longest.

Places go to the rows that waited WAIT_LIMIT_ROUNDS, then to prompt rows, then to the others; among these, to the rows that
waited longest, then to those that arrived first. New rows that waited equally long go in that order too. The first row that
does not fit ends the round, so that no small row overtakes a large one.

Bounds on waiting. Let c be the capacity, L the live lanes and k the networks they need (at most three). n rows of one lane,
however they are spread over the networks, need turns(n) = (n + k (c - 1)) // c rounds. A round of rows with up to d lanes
may end d - 1 lanes short. With n lanes of such rows it is turns(n) = (n + k (c - d)) // (c - d + 1).

- **A row waits at most WAIT_LIMIT_ROUNDS + 2 turns(L) - 1 rounds** between two slices. After WAIT_LIMIT_ROUNDS only rows
  that waited longer precede it, their number only falls, and every second round is for them.
- **A new interactive row waits at most 2 turns(n) - 1 rounds**, where n new rows wait at once (itself included). With n up to
  c at one network it waits at most one round, and none unless the round before was for new rows too.
- So an image of K slices ends within K (WAIT_LIMIT_ROUNDS + 2 turns(L)) rounds after it joined, whatever else arrives.

`worker.batch` admits jobs in the order of the queue while fewer than ROOM c lanes are live. Interactive jobs of owners with
less than one full round are admitted while fewer than NEWCOMER_ROOM c are. So L < NEWCOMER_ROOM c + 16 d lanes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from models.config import Stage

WAIT_LIMIT_ROUNDS = 4
"""Rounds that a row may wait before its network is chosen."""

PROMPT_LIMIT_ROUNDS = 2
"""Rounds that a prompt row may wait before its network is chosen."""


@dataclass(frozen=True, kw_only=True)
class BatchRow:
    """An unfinished image of a job in the batch.

    `generated` counts its slices since it joined, `waited` the rounds since the last one; `arrival` grows from job to job.
    `lanes` is the part of the capacity that its next slice takes (`service.contract.lanes`). `interactive`: a person waits.
    """

    job: str
    image: int
    stage: Stage
    generated: int
    waited: int
    arrival: int
    lanes: int = 1
    owner: str = ""
    interactive: bool = True


class Scheduler:
    """Chooses the rows of each round. It remembers only whether the last round was for new rows."""

    def __init__(self) -> None:
        self._for_new_rows = False

    def choose(self, rows: Sequence[BatchRow], capacity: int) -> list[BatchRow]:
        """Return rows of one network, at most `capacity` lanes or a single row; empty only if there are no rows."""
        ranked = sorted(rows, key=lambda row: (-row.waited, row.arrival, row.image))
        few = owners_with_few_lanes(rows)
        seated = sorted(ranked, key=lambda row: (row.waited < WAIT_LIMIT_ROUNDS, not prompt(row, few)))
        new = sorted((row for row in seated if is_new(row)), key=lambda row: -row.waited)
        self._for_new_rows = bool(new) and not self._for_new_rows
        if self._for_new_rows:
            return placed([*new, *(row for row in seated if not is_new(row))], new[0].stage, capacity)
        return placed(seated, leading_stage(ranked, few, capacity), capacity) if ranked else []


def is_new(row: BatchRow) -> bool:
    """Return whether a person waits for the first slice of the row."""
    return row.interactive and row.generated == 0


def prompt(row: BatchRow, few: Container[str]) -> bool:
    """Return whether the row is prompt; `few`: the owners with few lanes."""
    return row.interactive and row.owner in few


def owners_with_few_lanes(rows: Iterable[BatchRow]) -> set[str]:
    """Return the owners whose interactive rows have fewer lanes than an equal part of all lanes."""
    lanes, interactive = Counter[str](), Counter[str]()
    for row in rows:
        lanes[row.owner] += row.lanes
        interactive[row.owner] += row.lanes * row.interactive
    return {owner for owner in lanes if interactive[owner] * len(lanes) < lanes.total()}


def placed(ranked: Sequence[BatchRow], stage: Stage, capacity: int) -> list[BatchRow]:
    """Return the first rows of `stage` that fit, and one in any case."""
    rows = [row for row in ranked if row.stage is stage]
    ends = accumulate(row.lanes for row in rows)
    return [row for number, (row, end) in enumerate(zip(rows, ends, strict=True)) if not number or end <= capacity]


def leading_stage(ranked: Sequence[BatchRow], few: Container[str], capacity: int) -> Stage:
    """Return the network that rules 2 to 4 choose, for rows sorted by how long they waited."""
    if ranked[0].waited >= WAIT_LIMIT_ROUNDS:
        return ranked[0].stage
    first = next((row for row in ranked if prompt(row, few)), None)
    if first and first.waited >= PROMPT_LIMIT_ROUNDS:
        return first.stage
    lanes = Counter[Stage]()
    for row in ranked:
        lanes[row.stage] += row.lanes
    return max(lanes, key=lambda stage: min(lanes[stage], capacity))  # the first of equals: its row waited longest


def lanes_of(rows: Iterable[BatchRow]) -> int:
    """Return the lanes that `rows` take in a round."""
    return sum(row.lanes for row in rows)
