"""What a worker tells the API about its speed."""

from __future__ import annotations

import logging
import random

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from models.config import Stage
from service.contract.pace import PACE_SECONDS, Pace
from service.contract.redis_keys import pace_key
from service.local.processes import free_port
from worker.telemetry.pace_estimator import PaceEstimator, RoundFit

FEW, FULL = 1, 16
COSTS = {"nearly free rows": (1.0, 0.01), "rows and passes alike": (1.0, 0.2), "nothing but rows": (0.01, 1.0)}
"""Seconds of a round: fixed, and for each row."""


def read(store: redis.Redis) -> Pace | None:
    """As the API reads it."""
    return Pace.decode(store.hgetall(pace_key("toy")))


def keeper(store: redis.Redis) -> PaceEstimator:
    """A new one."""
    return PaceEstimator(store, model="toy", capacity=4)


def two_rows(store: redis.Redis) -> float:
    """What a round of two is said to take at the first network."""
    pace = read(store)
    assert pace
    return pace.stages[Stage.BASE].round_seconds(2)


def test_a_round_is_told_to_the_api(store: redis.Redis) -> None:
    """What such a round costs, beside the capacity; nothing before the first one."""
    assert read(store) is None
    keeper(store).round(Stage.BASE, lanes=2, seconds=3.0)
    pace = read(store)
    assert pace
    assert (pace.capacity, pace.job_seconds, set(pace.stages)) == (4, 0.0, {Stage.BASE})
    assert two_rows(store) == pytest.approx(3.0)


def test_what_jobs_take_beside_the_rounds_is_told_too(store: redis.Redis) -> None:
    """Each comes and goes: two moves."""
    pace = keeper(store)
    pace.moved(4, seconds=0.4)
    pace.moved(1, seconds=0.1)
    pace.write()
    assert (read(store) or Pace(capacity=0, stages={})).job_seconds == pytest.approx(0.2)


def test_it_is_forgotten_some_time_after_the_last_round(store: redis.Redis) -> None:
    """A dead worker's figures vanish."""
    keeper(store).round(Stage.BASE, lanes=2, seconds=3.0)
    assert PACE_SECONDS - 5 < store.ttl(pace_key("toy")) <= PACE_SECONDS


def test_rounds_in_quick_succession_are_written_once(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one that is a second later brings those between."""
    pace, clock = keeper(store), [100.0]
    monkeypatch.setattr("worker.telemetry.pace_estimator.time.monotonic", lambda: clock[0])
    for seconds in (3.0, 1.0, 1.0):
        pace.round(Stage.BASE, lanes=2, seconds=seconds)
        clock[0] += 0.4
    assert two_rows(store) == pytest.approx(3.0)
    pace.round(Stage.BASE, lanes=2, seconds=1.0)
    assert 1.0 < two_rows(store) < 2.0


def test_the_first_round_of_a_network_is_written_at_once(store: redis.Redis) -> None:
    """A short job measures all three within a second, and the next one is to have an estimate."""
    pace = keeper(store)
    for stage in Stage:
        pace.round(stage, lanes=1, seconds=3.0)
    assert set((read(store) or Pace(capacity=0, stages={})).stages) == set(Stage)


@pytest.mark.parametrize(("fixed", "row"), COSTS.values(), ids=COSTS)
@pytest.mark.parametrize("rows", [(FEW, FULL), (FULL, FEW)])
def test_one_round_of_few_rows_and_one_of_many_are_enough(fixed: float, row: float, rows: tuple[int, int]) -> None:
    """Rounds of any size are then known to within a quarter."""
    first, second = rows
    fit = RoundFit(first, fixed + row * first)
    fit.learn(second, fixed + row * second)
    for number in (FEW, 4, FULL):
        assert fit.pace.round_seconds(number) == pytest.approx(fixed + row * number, rel=0.25)


@pytest.mark.parametrize(("fixed", "row"), COSTS.values(), ids=COSTS)
def test_both_costs_are_learned_from_rounds_of_all_sizes(fixed: float, row: float) -> None:
    """Though each round is up to a fifth off."""
    dice = random.Random(0)  # noqa: S311 - the same each time
    fit = RoundFit(1, fixed + row)
    for _ in range(100):
        rows = dice.randint(1, FULL)
        fit.learn(rows, (fixed + row * rows) * dice.uniform(0.8, 1.2))
    for rows in (FEW, 4, FULL):
        assert fit.pace.round_seconds(rows) == pytest.approx(fixed + row * rows, rel=0.25)


def test_rounds_of_one_size_leave_the_proportion_as_it_was() -> None:
    """When the machine gets half as fast, the rounds not seen since are taken to last twice as long too."""
    fit = RoundFit(FEW, 2.0)
    fit.learn(FULL, 17.0)
    before = fit.pace.round_seconds(FEW)
    for _ in range(1000):
        fit.learn(FULL, 34.0)
    assert fit.pace.round_seconds(FULL) == pytest.approx(34.0, rel=0.02)
    assert fit.pace.round_seconds(FEW) == pytest.approx(2 * before, rel=0.5)


@pytest.mark.parametrize("rows", [1, 2, 16])
def test_rounds_of_one_size_ever_are_followed_and_nothing_is_negative(rows: int) -> None:
    """One odd round moves the cost by little, thirty new ones all the way."""
    fit = RoundFit(rows, 1.0)
    for _ in range(20):
        fit.learn(rows, 1.0)
    fit.learn(rows, 2.0)
    assert 1.0 < fit.pace.round_seconds(rows) < 1.3
    fit.learn(rows, 1000.0)
    assert fit.pace.round_seconds(rows) < 3.0
    for _ in range(30):
        fit.learn(rows, 0.5)
    assert fit.pace.round_seconds(rows) == pytest.approx(0.5, rel=0.1)
    assert min(fit.pace.fixed_seconds, fit.pace.turn_seconds) >= 0


def test_rows_that_advance_at_the_same_time_cost_one_turn(store: redis.Redis) -> None:
    """With two threads a second row is free, a third costs as much as a fourth."""
    pace = PaceEstimator(store, model="toy", capacity=4, threads=2)
    for rows in (1, 2, 3, 4) * 20:
        pace.round(Stage.BASE, lanes=rows, seconds=1.0 if rows <= 2 else 2.0)
    pace.write()
    written = read(store)
    assert written
    assert [written.round_seconds(Stage.BASE, rows) for rows in (1, 2)] == [pytest.approx(1.0, rel=0.02)] * 2
    assert [written.round_seconds(Stage.BASE, rows) for rows in (3, 4)] == [pytest.approx(2.0, rel=0.02)] * 2


def test_drawing_goes_on_when_the_pace_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    """The log says so."""
    with redis.Redis(port=free_port(), retry=Retry(NoBackoff(), 0)) as away, caplog.at_level(logging.WARNING):
        keeper(away).round(Stage.BASE, lanes=1, seconds=1.0)
    assert "pace not written" in caplog.text
