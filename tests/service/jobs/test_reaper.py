"""Sweeps of the reaper over a real Redis: what it issues again, and what must not stop it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis

from service.contract.redis_keys import deadlines_key, owners_key, queue_name, running_key, waiting_key
from service.contract.request import JobRequest
from service.contract.statuses import Status
from service.contract.transitions import Claim, Outcome, Transitions, create, next_job
from service.jobs.clock_watch import ClockWatch
from service.jobs.reaper import Reaper
from service.jobs.tickets import Tickets
from tests.harness.drawing import a_claim, a_request, a_running_job, acquire, record_of


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


def sweep(url: str, times: int = 1) -> list[int]:
    """Tickets issued by each sweep of a new reaper."""

    async def run() -> list[int]:
        with redis.Redis.from_url(url) as blocking:
            async with AsyncRedis.from_url(url) as client:
                reaper = Reaper(client, Tickets(blocking), models=["toy"])
                return [await reaper.sweep() for _ in range(times)]

    return asyncio.run(run())


def tickets(store: redis.Redis) -> int:
    """Tickets in RQ."""
    return store.llen(f"rq:queue:{queue_name('toy')}")


def put(url: str) -> None:
    """Deliver a ticket."""
    with redis.Redis.from_url(url) as client:
        asyncio.run(Tickets(client).put("toy", count=1))


def waiting(transitions: Transitions) -> JobRequest:
    """Make a job that waits."""
    request = a_request()
    transitions(create(request, bound=1000))
    return request


def test_missing_tickets_are_put_once(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """As many as jobs wait without; however many sweeps there are."""
    for _ in range(3):
        waiting(transitions)
    put(redis_url)
    assert sweep(redis_url, times=2) == [2, 0]
    assert tickets(store) == 3


def test_a_released_job_has_a_ticket_at_once(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """It waits from its release on."""
    claim = a_running_job(transitions)
    transitions(claim.release())
    assert sweep(redis_url, times=2) == [1, 0]
    assert tickets(store) == 1


def test_a_job_whose_lease_ran_out_waits_again(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """Until a worker acquires it, whose death is noticed in turn."""
    claim = a_running_job(transitions)
    for token in ("second", "third"):
        store.hset(claim.keys.record, "lease_until", 1)
        store.zadd(running_key("toy"), {claim.keys.id: 1})
        sweep(redis_url, times=2)
        assert transitions(next_job("toy")).value == claim.keys.id
        claim = Claim(keys=claim.keys, token=token)
        transitions(acquire(claim))
    assert transitions(next_job("toy")).outcome is Outcome.EMPTY
    assert tickets(store) == 1


def test_a_job_of_a_release_without_owners_queues_is_found(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """An API process that is not yet replaced makes such jobs."""
    request = waiting(transitions)
    store.delete(waiting_key("toy", ""), owners_key("toy"))
    sweep(redis_url)
    assert transitions(next_job("toy")).value == request.id


def test_a_job_that_is_held_is_left_alone(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """Its worker needs no ticket."""
    a_running_job(transitions)
    assert sweep(redis_url) == [0]
    assert tickets(store) == 0


@pytest.mark.parametrize("damage", ["request", "status", "gone", "other type"])
def test_a_damaged_record_stops_nobody_else(
    damage: str, store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """Of a newer release, deeply nested, lost: the others get their tickets, and overdue ones end."""
    broken, healthy, late = waiting(transitions), waiting(transitions), waiting(transitions)
    store.delete(waiting_key("toy", ""))
    store.hset(late.keys.record, "deadline", 1)
    store.zadd(deadlines_key(late.model), {late.id: 1, broken.id: 1})
    if damage in {"gone", "other type"}:
        store.delete(broken.keys.record)
    if damage == "other type":
        store.set(broken.keys.record, "text")
    elif damage != "gone":
        store.hset(broken.keys.record, damage, "[" * 300)
    sweep(redis_url, times=2)
    assert store.zscore(waiting_key("toy", ""), healthy.id)
    assert record_of(store, a_claim(late)).status is Status.FAILED


def test_a_sweep_decodes_no_record_and_asks_nothing_about_jobs_that_wait_as_they_should(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """With five thousand waiting jobs, decoding their records each second took half a core."""
    for _ in range(50):
        waiting(transitions)
        put(redis_url)
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
