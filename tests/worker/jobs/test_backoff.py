"""Waiting for a real Redis that is away, full, or cannot write."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
import redis

from tests.harness.later import later
from tests.harness.launcher import RedisServer
from worker.jobs.backoff import Backoff, temporary

AWAY_SECONDS = 1.0


@pytest.fixture
def client(redis_url: str, store: redis.Redis) -> Iterator[redis.Redis]:
    """A patient one, of the session's Redis."""
    assert store.ping()
    with redis.Redis.from_url(redis_url, retry=Backoff()) as patient:
        yield patient


def test_a_full_redis_is_waited_for(client: redis.Redis, store: redis.Redis) -> None:
    """Writes go through once there is room, in scripts and transactions too."""
    store.config_set("maxmemory", 1)
    with later(AWAY_SECONDS, lambda: store.config_set("maxmemory", 0)):
        began = time.monotonic()
        client.set("a", 1)
        with client.pipeline(transaction=True) as pipeline:
            pipeline.set("b", 2)
            pipeline.execute()
        assert time.monotonic() - began >= AWAY_SECONDS / 2
    assert store.mget("a", "b") == [b"1", b"2"]


def test_a_redis_that_is_away_is_waited_for(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Longer than redis-py's own retries need for giving up at once; the log tells of the beginning and the end."""
    caplog.set_level(logging.INFO, logger="worker.jobs.backoff")
    with (
        RedisServer(tmp_path_factory.mktemp("redis"), durable=True) as server,
        redis.Redis.from_url(server.url, retry=Backoff()) as patient,
    ):
        patient.set("a", 1)
        server.kill()
        with later(AWAY_SECONDS, server.start):
            assert patient.get("a") == b"1"
    lines = [record.message for record in caplog.records]
    assert lines[0].startswith("waiting for Redis: ")
    assert lines[-1].startswith("Redis answers again")


def test_a_mistake_is_not_waited_for(client: redis.Redis, store: redis.Redis) -> None:
    """A command that will never work is reported at once."""
    store.set("text", "a")
    with pytest.raises(redis.ResponseError):
        client.lpush("text", 1)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (redis.ConnectionError("refused"), True),
        (redis.TimeoutError("silent"), True),
        (redis.exceptions.BusyLoadingError("loading"), True),
        (redis.exceptions.ReadOnlyError("a replica"), True),
        (redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), True),
        (redis.ResponseError("Error running script (call to f_0): @user_script:43: -OOM command not allowed"), True),
        (redis.ResponseError("Error running script (call to f_0): @user_script:43: -READONLY You can't write"), True),
        (redis.ResponseError("WRONGTYPE Operation against a key"), False),
        (redis.exceptions.NoScriptError("No matching script"), False),
    ],
)
def test_what_passes(error: redis.RedisError, *, expected: bool) -> None:
    """Everything that an operator, or time, can mend without this process."""
    assert temporary(error) is expected
