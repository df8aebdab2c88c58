"""Sweeps of the reaper over a real Redis: what it issues again, and what must not stop it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis

from service.contract.redis_keys import queue_name, queued_key, running_key
from service.contract.request import JobRequest
from service.contract.statuses import Status
from service.contract.transitions import Claim, Transitions, create
from service.jobs.clock_watch import ClockWatch
from service.jobs.reaper import Reaper
from service.jobs.tickets import Tickets
from tests.harness.drawing import a_claim, a_request, a_running_job, acquire, record_of

TICKET_SECONDS = 100


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


def sweep(url: str, times: int = 1) -> list[int]:
    """Tickets issued by each sweep of a new reaper."""

    async def run() -> list[int]:
        with redis.Redis.from_url(url) as blocking:
            async with AsyncRedis.from_url(url) as client:
                reaper = Reaper(client, Tickets(blocking), models=["toy"], ticket_seconds=TICKET_SECONDS)
                return [await reaper.sweep() for _ in range(times)]

    return asyncio.run(run())


def tickets(store: redis.Redis) -> list[str]:
    """Ids of the tickets in RQ."""
    found: Any = store.lrange(f"rq:queue:{queue_name('toy')}", 0, -1)
    return [each.decode() for each in found]


def put(url: str, request: JobRequest, ticket: int = 1) -> None:
    """Deliver a ticket."""
    with redis.Redis.from_url(url) as client:
        asyncio.run(Tickets(client).put("toy", request.id, ticket))


def waiting(store: redis.Redis, transitions: Transitions) -> JobRequest:
    """Make a job that has waited for longer than a ticket may be away."""
    request = a_request()
    transitions(create(request, bound=1000))
    store.hincrby(request.keys.record, "ticketed_at", -2000 * TICKET_SECONDS)
    store.zincrby(queued_key("toy"), -2000 * TICKET_SECONDS, request.id)
    return request


def test_a_lost_ticket_is_issued_again_and_a_waiting_one_is_not(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """Once, however many sweeps; its number is the next."""
    lost, waits = waiting(store, transitions), waiting(store, transitions)
    put(redis_url, waits)
    assert sweep(redis_url, times=2) == [1, 0]
    assert tickets(store) == [f"{lost.id}-2", f"{waits.id}-1"]


def test_a_released_job_is_due_at_once(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """It has no ticket and was issued one just now: `release` says that neither counts."""
    claim = a_running_job(transitions)
    transitions(claim.release())
    assert sweep(redis_url) == [1]
    assert tickets(store) == [f"{claim.keys.id}-2"]


def test_a_job_that_is_held_is_left_alone(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """Its worker needs no ticket."""
    a_running_job(transitions)
    assert sweep(redis_url) == [0]
    assert tickets(store) == []


@pytest.mark.parametrize("damage", ["request", "status", "gone", "other type"])
def test_a_damaged_record_stops_nobody_else(
    damage: str, store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """Of a newer release, deeply nested, lost: the others get their tickets, and overdue ones end."""
    broken, healthy = waiting(store, transitions), waiting(store, transitions)
    late = waiting(store, transitions)
    store.hset(late.keys.record, "deadline", 1)
    store.zadd(late.keys.all[4], {late.id: 1, broken.id: 1})
    if damage in {"gone", "other type"}:
        store.delete(broken.keys.record)
    if damage == "other type":
        store.set(broken.keys.record, "text")
    elif damage != "gone":
        store.hset(broken.keys.record, damage, "[" * 300)
    sweep(redis_url, times=2)
    assert f"{healthy.id}-2" in tickets(store)
    assert record_of(store, a_claim(late)).status is Status.FAILED


def test_a_sweep_decodes_no_record_and_asks_nothing_about_jobs_that_wait_as_they_should(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """With five thousand waiting jobs, decoding their records each second took half a core."""
    for _ in range(50):
        put(redis_url, waiting(store, transitions))
    store.config_resetstat()
    assert sweep(redis_url, times=3) == [0, 0, 0]
    commands = store.info("commandstats")
    assert {"cmdstat_hgetall", "cmdstat_hmget", "cmdstat_hget"}.isdisjoint(commands)


def test_a_lease_from_before_a_step_back_of_the_clock_is_shortened(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """The job of a dead worker is free again after one lease, not after the step."""
    claim = a_running_job(transitions, lease_seconds=0.5)
    hour = 3_600_000
    store.hincrby(claim.keys.record, "lease_until", hour)
    store.zincrby(running_key("toy"), hour, claim.keys.id)
    sweep(redis_url)
    left = record_of(store, claim).lease_until - 1000 * store.time()[0]
    assert left < 2000
    assert store.zscore(running_key("toy"), claim.keys.id) == record_of(store, claim).lease_until
    asyncio.run(asyncio.sleep(0.6))
    assert transitions(acquire(Claim(keys=claim.keys, token="other"))).outcome == "done"


def test_a_job_created_before_a_step_back_of_the_clock_is_not_forgotten(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """It seems to be of the future."""
    request = waiting(store, transitions)
    store.hincrby(request.keys.record, "ticketed_at", 4_000_000)
    store.zincrby(queued_key("toy"), 4_000_000, request.id)
    assert sweep(redis_url) == [1]


class SteppingClock:
    """Redis' TIME with steps between the calls, in seconds."""

    def __init__(self, steps: Sequence[int]) -> None:
        self._steps, self._at = list(steps), 1_000_000

    async def time(self) -> tuple[int, int]:
        """The next one."""
        self._at += self._steps.pop(0)
        return self._at, 0


def test_steps_of_the_clock_are_noticed_in_both_directions() -> None:
    """A small difference is none."""

    async def run() -> list[float]:
        watch = ClockWatch(SteppingClock([0, 1, 3600, 0, -3600]))  # type: ignore[arg-type]
        return [round((await watch.now())[1] / 1000) for _ in range(5)]

    assert asyncio.run(run()) == [0, 0, 3600, 0, -3600]
