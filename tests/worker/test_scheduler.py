"""The policy, by example and by simulation."""

from __future__ import annotations

import random
from dataclasses import replace

from models.config import Stage
from worker.scheduler import PATIENCE, Row, choose

STAGES = (Stage.BASE, *(Stage.SIZE,) * 3, *(Stage.DEPTH,) * 4)


def row(arrival: int, *, drawn: int = 0, waited: int = 0) -> Row:
    """A picture of 8 slices."""
    return Row(job=f"job-{arrival}", image=0, stage=STAGES[drawn], drawn=drawn, waited=waited, arrival=arrival)


def test_no_rows_choose_nothing() -> None:
    """An empty batch is empty."""
    assert choose([], 4) == []


def test_a_batch_stands_at_one_network_within_capacity() -> None:
    """The sampler can advance what is chosen."""
    chosen = choose([row(i, drawn=5) for i in range(6)] + [row(9, drawn=2)], 4)
    assert [r.arrival for r in chosen] == [0, 1, 2, 3]


def test_a_newcomer_is_drawn_next() -> None:
    """A first slice is what a person waits for."""
    assert choose([*(row(i, drawn=5) for i in range(16)), row(99)], 16) == [row(99)]


def test_who_was_passed_over_too_often_leads() -> None:
    """Even against newcomers."""
    starving = row(0, drawn=2, waited=PATIENCE)
    assert choose([row(1), row(2), starving], 4) == [starving]


def test_the_fullest_network_goes_first_otherwise() -> None:
    """Throughput decides where nobody is urgent."""
    rows = [row(0, drawn=2, waited=1), row(1, drawn=5), row(2, drawn=6)]
    assert [r.arrival for r in choose(rows, 4)] == [1, 2]


def test_nobody_waits_long_in_a_simulation() -> None:
    """Over random arrivals every picture ends, and none is passed over more often than there are rivals ahead of it."""
    dice = random.Random(1)  # noqa: S311 - a simulation
    rows: list[Row] = []
    arrivals, longest, ended = 0, 0, 0
    for _ in range(4000):
        while len(rows) < 8 and dice.random() < 0.5:
            rows.append(row(arrivals))
            arrivals += 1
        chosen = set(choose(rows, 4))
        moved = [
            replace(r, waited=0, drawn=r.drawn + 1) if r in chosen else replace(r, waited=r.waited + 1) for r in rows
        ]
        ended += sum(r.drawn == 8 for r in moved)
        rows = [replace(r, stage=STAGES[r.drawn]) for r in moved if r.drawn < 8]
        longest = max([longest, *(r.waited for r in rows)])
    assert ended > 1000
    assert longest <= PATIENCE + 8
