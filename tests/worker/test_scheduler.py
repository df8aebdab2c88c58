"""The policy by example; `test_waiting` holds it by simulation."""

from __future__ import annotations

from models.config import Stage
from worker.scheduler import WAIT_LIMIT_ROUNDS, BatchRow, Scheduler

STAGES = (Stage.BASE, *(Stage.SIZE,) * 3, *(Stage.DEPTH,) * 4)


def row(arrival: int, *, generated: int = 0, waited: int = 0) -> BatchRow:
    """An image of 8 slices."""
    return BatchRow(
        job=f"job-{arrival}", image=0, stage=STAGES[generated], generated=generated, waited=waited, arrival=arrival
    )


def dear(arrival: int, lanes: int) -> BatchRow:
    """A newcomer whose base slice has candidates."""
    return BatchRow(
        job=f"job-{arrival}", image=0, stage=Stage.BASE, generated=0, waited=0, arrival=arrival, lanes=lanes
    )


def arrivals(*chosen: BatchRow) -> list[int]:
    """Whose turn it is."""
    return [row.arrival for row in chosen]


def test_no_rows_choose_nothing() -> None:
    """An empty batch is empty."""
    assert Scheduler().choose([], 4) == []


def test_a_batch_stands_at_one_network_within_capacity() -> None:
    """The sampler can advance what is chosen."""
    chosen = Scheduler().choose([row(i, generated=5) for i in range(6)] + [row(9, generated=2)], 4)
    assert arrivals(*chosen) == [0, 1, 2, 3]


def test_a_new_row_advances_next() -> None:
    """A first slice is what a person waits for, also where somebody else is late."""
    others = [row(0, generated=2, waited=WAIT_LIMIT_ROUNDS), *(row(i, generated=5) for i in range(1, 16))]
    assert arrivals(*Scheduler().choose([*others, row(99)], 16)) == [99]


def test_newcomers_never_lead_twice_running() -> None:
    """However many there are, every second batch goes by the fullest network, or by who is late."""
    scheduler, others = Scheduler(), [row(i, generated=5, waited=i) for i in range(3)]
    rounds = [scheduler.choose([*others, row(90 + i)], 4) for i in range(4)]
    assert [arrivals(*chosen) for chosen in rounds] == [[90], [2, 1, 0], [92], [2, 1, 0]]


def test_a_newcomer_is_seated_before_those_who_wait_at_its_network() -> None:
    """An image that joins in the middle, given or taken over, is a newcomer too."""
    joined = BatchRow(job="upscale", image=0, stage=Stage.DEPTH, generated=0, waited=0, arrival=99)
    chosen = Scheduler().choose([*(row(i, generated=5, waited=2) for i in range(8)), joined], 4)
    assert arrivals(*chosen) == [99, 0, 1, 2]


def test_who_was_passed_over_too_often_leads() -> None:
    """Even against a fuller network."""
    starving = row(0, generated=2, waited=WAIT_LIMIT_ROUNDS)
    assert Scheduler().choose([row(1, generated=5), row(2, generated=6), starving], 4) == [starving]


def test_the_fullest_batch_goes_first_otherwise() -> None:
    """Throughput decides where nobody is urgent."""
    rows = [row(0, generated=2, waited=1), row(1, generated=5), row(2, generated=6)]
    assert arrivals(*Scheduler().choose(rows, 4)) == [1, 2]


def test_of_two_full_batches_the_one_that_waited_goes_first() -> None:
    """Pictures beyond the capacity make a batch no fuller."""
    rows = [*(row(i, generated=5) for i in range(6)), row(7, generated=2, waited=1), row(8, generated=2, waited=1)]
    assert arrivals(*Scheduler().choose(rows, 2)) == [7, 8]


def test_a_batch_has_as_many_lanes_as_the_capacity() -> None:
    """Candidates are paid for by who wants them; whoever comes after and would fit waits his turn."""
    assert arrivals(*Scheduler().choose([dear(0, 8), dear(1, 4), dear(2, 8), dear(3, 1)], 16)) == [0, 1]


def test_an_image_dearer_than_the_capacity_advances_alone() -> None:
    """It would never advance otherwise."""
    assert arrivals(*Scheduler().choose([dear(0, 16), dear(1, 1)], 4)) == [0]


def test_lanes_make_a_batch_full() -> None:
    """One image of four lanes at the base against two of one lane at another network."""
    scheduler = Scheduler()
    scheduler.choose([dear(9, 1)], 4)
    rows = [row(0, generated=5), row(1, generated=6), dear(2, 4)]
    assert arrivals(*scheduler.choose(rows, 4)) == [2]
