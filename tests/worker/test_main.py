"""The worker as a process: what it refuses to start with, and how it leaves."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from models.cards import TENSORS
from models.config import Geometry
from service.contract.record import JobRecord
from service.contract.redis_keys import Keys, queue_name, workers_key
from service.contract.request import JobRequest
from service.contract.statuses import Status
from service.contract.transitions import Transitions, create
from service.jobs.tickets import Tickets
from tests.harness.drawing import a_request
from tests.harness.launcher import RedisServer, WorkerProcess, eager, run_module

SLOW = Geometry(size=16, slice_size=4)
START_SECONDS = 60
DRAIN_SECONDS = 2
EXIT_SECONDS = DRAIN_SECONDS + 48
"""Draining, and some for a busy machine."""


def slow(redis_url: str, models: Path) -> Mapping[str, str]:
    """Of a worker of `slow`."""
    return eager(redis_url, models, "slow", CAPACITY="4", DRAIN_SECONDS=str(DRAIN_SECONDS))


@contextmanager
def worker(redis_url: str, models: Path) -> Iterator[WorkerProcess]:
    """A worker process that waits for jobs."""
    with WorkerProcess(slow(redis_url, models)) as process, redis.Redis.from_url(redis_url) as client:
        until(lambda: idle(client), START_SECONDS)
        yield process


def idle(client: redis.Redis) -> bool:
    """Whether RQ knows a worker that waits: it listens to signals then."""
    return any(client.hget(key, "state") == b"idle" for key in client.smembers("rq:workers"))


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Returns once it is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def begun(client: redis.Redis) -> JobRequest:
    """A job of which a worker has generated a slice."""
    request = replace(a_request(), model="slow", geometry=SLOW)
    Transitions(client)(create(request, bound=9))
    asyncio.run(Tickets(client).put("slow", count=1))
    until(lambda: record(client, request).done[0] > 0)
    return request


def record(client: redis.Redis, request: JobRequest) -> JobRecord:
    """How it stands."""
    return JobRecord.decode(client.hgetall(Keys(id=request.id, model="slow").record))


@pytest.mark.parametrize("damage", ["a flipped bit", "cut short", "missing", "no card"])
def test_a_damaged_checkpoint_is_refused_at_start_by_name(
    damage: str, redis_url: str, models: Path, tmp_path: Path
) -> None:
    """One line that says which model and which file, no traceback. Exit 1; without a card 2, because a setting names it."""
    folder = Path(shutil.copytree(models / "slow", tmp_path / "slow"))
    tensors = folder / TENSORS
    body = tensors.read_bytes()
    if damage == "a flipped bit":
        tensors.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    elif damage == "cut short":
        tensors.write_bytes(body[: len(body) // 2])
    else:
        (folder / ("card.json" if damage == "no card" else TENSORS)).unlink()
    ended = run_module("worker.main", settings=slow(redis_url, tmp_path))
    assert ended.returncode == (2 if damage == "no card" else 1)
    assert "slow" in ended.stderr
    assert ("card.json" if damage == "no card" else TENSORS) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_first_sigterm_hands_back_and_the_next_worker_goes_on(
    store: redis.Redis, redis_url: str, models: Path
) -> None:
    """Exit 0 at the slice boundary: running, no attempt spent, no lease, at once to be had."""
    with worker(redis_url, models) as process:
        request = begun(store)
        process.send(signal.SIGTERM)
        assert process.exit_code(within_seconds=EXIT_SECONDS) == 0
    found = record(store, request)
    assert (found.status, found.attempts, found.lease_until) == (Status.RUNNING, 0, 0)
    assert 0 < found.done[0] < len(SLOW.steps)
    assert store.zcard(workers_key("slow")) == 0


def test_a_second_sigterm_right_after_the_first_ends_it_at_once(
    store: redis.Redis, redis_url: str, models: Path
) -> None:
    """Nothing is lost: the job is as after a crash, with all its slices, for whoever comes after the lease."""
    with worker(redis_url, models) as process:
        request = begun(store)
        process.send(signal.SIGSTOP)
        process.send(signal.SIGTERM)
        process.send(signal.SIGINT)
        process.send(signal.SIGCONT)
        assert process.exit_code(within_seconds=EXIT_SECONDS) == 0
    found = record(store, request)
    assert (found.status, found.attempts) == (Status.RUNNING, 1)
    assert 0 < found.done[0] < len(SLOW.steps)


def test_sigterm_ends_an_idle_worker(store: redis.Redis, redis_url: str, models: Path) -> None:
    """It waits for nothing, and takes nothing with it."""
    assert store.dbsize() == 0
    with worker(redis_url, models) as process:
        process.send(signal.SIGTERM)
        assert process.exit_code(within_seconds=EXIT_SECONDS) == 0
    assert store.llen(f"rq:queue:{queue_name('slow')}") == 0


@pytest.mark.parametrize("busy", [False, True])
def test_sigterm_while_redis_is_away_ends_it_in_time(models: Path, tmp_path: Path, *, busy: bool) -> None:
    """Idle or with a job, which is found as it was left once Redis is back."""
    with (
        RedisServer(tmp_path, durable=True) as server,
        worker(server.url, models) as process,
        redis.Redis.from_url(server.url) as client,
    ):
        request = begun(client) if busy else None
        server.kill()
        time.sleep(0.5)
        process.send(signal.SIGTERM)
        assert process.exit_code(within_seconds=EXIT_SECONDS) == 0
        server.start()
        if request:
            found = record(client, request)
            assert (found.status, found.attempts) == (Status.RUNNING, 1)
            assert found.done[0] > 0


def test_a_worker_waits_for_redis_and_goes_on(models: Path, tmp_path: Path) -> None:
    """Redis dies in the middle and comes back: the same process ends the job, in one attempt."""
    with (
        RedisServer(tmp_path, durable=True) as server,
        worker(server.url, models) as process,
        redis.Redis.from_url(server.url) as client,
    ):
        request = begun(client)
        server.kill()
        time.sleep(1)
        server.start()
        until(lambda: record(client, request).status.final)
        found = record(client, request)
        assert (found.status, found.attempts) == (Status.SUCCEEDED, 1)
        assert process.alive
