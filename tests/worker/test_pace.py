"""What a worker tells the API about its speed."""

from __future__ import annotations

import logging

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from models.config import Stage
from service.contract import PACE_SECONDS, Pace, StagePace, pace_key
from service.local import free_port
from worker.pace import PaceKeeper, averaged
from worker.rounds import Round

PACE = Pace(capacity=4, stages={Stage.BASE: StagePace(round_seconds=3.0, row_seconds=1.5)})
"""After one round of three seconds."""


def a_round(seconds: float, *, stage: Stage = Stage.BASE, rows: int = 2) -> Round:
    """A measured one."""
    return Round(stage=stage, rows=rows, capacity=4, seconds=seconds, pixels=32, passes=8)


def read(store: redis.Redis) -> Pace | None:
    """As the API reads it."""
    return Pace.decode(store.hgetall(pace_key("toy")))


def test_a_round_is_told_to_the_api(store: redis.Redis) -> None:
    """Seconds per round and per row, beside the capacity; nothing before the first one."""
    assert read(store) is None
    PaceKeeper(store, model="toy")(a_round(3.0))
    assert read(store) == PACE


def test_it_is_forgotten_some_time_after_the_last_round(store: redis.Redis) -> None:
    """A dead worker's figures vanish."""
    PaceKeeper(store, model="toy")(a_round(3.0))
    assert PACE_SECONDS - 5 < store.ttl(pace_key("toy")) <= PACE_SECONDS


def test_rounds_in_quick_succession_are_written_once(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one that is a second later brings those between."""
    keeper, clock = PaceKeeper(store, model="toy"), [100.0]
    monkeypatch.setattr("worker.pace.time.monotonic", lambda: clock[0])
    for seconds in (3.0, 1.0, 1.0):
        keeper(a_round(seconds))
        clock[0] += 0.4
    assert read(store) == PACE
    keeper(a_round(1.0))
    assert 1.0 < (read(store) or PACE).stages[Stage.BASE].round_seconds < 3.0


def test_the_first_round_of_a_network_is_written_at_once(store: redis.Redis) -> None:
    """A short job measures all three within a second, and the next one is to have an estimate."""
    keeper = PaceKeeper(store, model="toy")
    for stage in Stage:
        keeper(a_round(3.0, stage=stage))
    assert set((read(store) or PACE).stages) == set(Stage)


def test_the_average_follows_the_rounds() -> None:
    """One odd round moves it little, twenty new ones all the way."""
    steady = averaged(None, a_round(1.0))
    assert averaged(steady, a_round(2.0)).round_seconds == pytest.approx(1.2)
    for _ in range(20):
        steady = averaged(steady, a_round(2.0))
    assert steady.round_seconds == pytest.approx(2.0, rel=0.02)
    assert steady.row_seconds == pytest.approx(1.0, rel=0.02)


def test_drawing_goes_on_when_the_pace_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    """The log says so."""
    with redis.Redis(port=free_port(), retry=Retry(NoBackoff(), 0)) as away, caplog.at_level(logging.WARNING):
        PaceKeeper(away, model="toy")(a_round(1.0))
    assert "pace not written" in caplog.text
