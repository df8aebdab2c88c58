"""What a poll says of the queue and of time, from a real Redis."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from typing import Any

import pytest
import redis
from redis.asyncio import Connection, ConnectionPool
from redis.asyncio import Redis as AsyncRedis

from models.config import Stage
from service.contract.pace import Pace, StagePace
from service.contract.record import JobRecord
from service.contract.redis_keys import Keys, pace_key, queued_key, waiting_key, workers_key
from service.contract.request import JobRequest
from service.contract.transitions import UNLIMITED, Claim, Transitions, announce, create, next_job
from service.jobs.queue_position import SAMPLE, SHARED_SECONDS, Backlog, QueueEstimate, QueueEstimates
from tests.harness.drawing import GEOMETRY, a_claim, a_request, a_running_job, acquire, an_entry, record_of

STEPS = len(GEOMETRY.steps)
PACE = Pace(capacity=4, stages={stage: StagePace(fixed_seconds=2.0, turn_seconds=0.0) for stage in Stage})


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Into a Redis where one worker lives whose rounds take two seconds."""
    store.hset(pace_key("toy"), mapping=PACE.encode())  # type: ignore[arg-type]
    transitions = Transitions(store)
    transitions(announce("toy", "w", seconds=30))
    return transitions


class CountingConnection(Connection):
    """Counts writes to the socket."""

    sends = 0

    async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """As redis-py's."""
        CountingConnection.sends += 1
        await super().send_packed_command(*args, **kwargs)


def estimate(url: str, record: JobRecord) -> QueueEstimate:
    """As the API reads it."""

    async def ask() -> QueueEstimate:
        async with AsyncRedis.from_url(url) as client:
            return await QueueEstimates(client).of(record)

    return asyncio.run(ask())


def queued(store: redis.Redis, transitions: Transitions) -> JobRecord:
    """One more job that waits."""
    request = a_request()
    transitions(create(request, bound=1000))
    return read(store, request)


def queued_later(store: redis.Redis, transitions: Transitions) -> JobRecord:
    """One more job, created in a later millisecond than all before: those of one go by their ids."""
    time.sleep(0.002)
    return queued(store, transitions)


def read(store: redis.Redis, request: JobRequest) -> JobRecord:
    """How it stands."""
    return record_of(store, a_claim(request))


def test_a_running_job_has_its_rounds_left(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """No place in the queue; two seconds a slice."""
    claim = a_running_job(transitions)
    for step in range(3):
        transitions(claim.append(an_entry(step)))
    expected = QueueEstimate(queue_position=None, eta_seconds=2.0 * (STEPS - 3))
    assert estimate(redis_url, record_of(store, claim)) == expected


def test_a_queued_job_also_waits_for_those_before_it(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """The further back, the later."""
    running = a_running_job(transitions)
    waiting = [estimate(redis_url, queued(store, transitions)) for _ in range(3)]
    assert [each.queue_position for each in waiting] == [1, 2, 3]
    times = [estimate(redis_url, record_of(store, running)).eta_seconds, *(each.eta_seconds for each in waiting)]
    assert None not in times
    assert times[1:] == sorted(set(times[1:]), key=lambda seconds: seconds or 0)


@pytest.mark.parametrize("field", ["num_images", "done:0", "lanes"])
def test_a_damaged_record_does_not_harm_other_jobs(
    field: str, store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """The estimate of the next job leaves it out."""
    damaged, intact = queued(store, transitions), queued(store, transitions)
    store.zadd(queued_key("toy"), {damaged.request.id: 0})  # first, even if both are of one millisecond
    store.hset(damaged.request.keys.record, field, "\xff{")
    assert estimate(redis_url, intact).eta_seconds is not None


@pytest.mark.parametrize("fields", [{"fixed": "fast"}, {"threads": ""}, {"capacity": "nan"}])
def test_a_measurement_of_another_release_is_no_estimate(
    fields: dict[str, str], store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """And no error."""
    store.hset(pace_key("toy"), mapping=fields)  # type: ignore[arg-type]
    assert estimate(redis_url, queued(store, transitions)).eta_seconds is None


def test_a_long_queue_is_read_in_part(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """Twice as many jobs ahead take twice as long, though at most SAMPLE of them are looked at."""
    submitted = [queued(store, transitions) for _ in range(2 * SAMPLE + 1)]
    # As the queue has them: those of one millisecond go by their ids.
    records = sorted(submitted, key=lambda record: (record.created_at, record.request.id))
    half, whole = (estimate(redis_url, records[index]).eta_seconds or 0 for index in (SAMPLE, 2 * SAMPLE))
    assert whole == pytest.approx(2 * half, rel=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_the_position_is_the_order_in_which_workers_take_jobs(
    seed: int, store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """Of several owners with different weights, while no other job comes; each owner's jobs have as many images."""
    dice = random.Random(seed)  # noqa: S311 - a test
    for number in range(30):
        owner = dice.randrange(4)
        request = replace(a_request(num_images=1 + 3 * owner), owner=f"owner-{owner}")
        transitions(create(request, bound=1000, limits=replace(UNLIMITED, weight=1 + owner % 2)))
        store.zadd(waiting_key("toy", request.owner), {request.id: number}, xx=True)
    for _ in range(dice.randrange(10)):
        take(store, transitions)
    promised: dict[str, int | None] = {}
    for owner in range(4):
        jobs: list[Any] = list(store.zrange(waiting_key("toy", f"owner-{owner}"), 0, -1) or ())
        for job in map(bytes.decode, jobs):
            record = JobRecord.decode(store.hgetall(Keys(id=job, model="toy").record))
            promised[job] = estimate(redis_url, record).queue_position
    order = [take(store, transitions) for _ in promised]
    assert [promised[job] for job in order] == list(range(1, len(order) + 1))


def take(store: redis.Redis, transitions: Transitions) -> str:
    """Acquire the job that is next."""
    keys = Keys(id=transitions(next_job("toy")).value, model="toy")
    transitions(acquire(Claim(keys=keys, token=keys.id)))
    assert store.hget(keys.record, "status") == b"running"
    return keys.id


def test_the_first_job_of_an_owner_does_not_wait_for_the_jobs_of_another(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """It joins the others at once: its estimate is that of a job that shares rounds with them."""
    for number in range(4):
        request = replace(a_request(num_images=4), owner="many")
        transitions(create(request, bound=1000))
        if number < 2:
            transitions(acquire(a_claim(request)))
    few = replace(a_request(), owner="few")
    transitions(create(few, bound=1000))
    found = estimate(redis_url, read(store, few))
    assert found.queue_position in {1, 2}
    assert found.eta_seconds is not None
    assert found.eta_seconds <= 3 * 2.0 * STEPS


def test_without_a_measurement_or_a_worker_there_is_no_estimate(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """The place in the queue is still told."""
    record = queued(store, transitions)
    transitions(announce("toy", "w", seconds=0))
    assert estimate(redis_url, record) == QueueEstimate(queue_position=1, eta_seconds=None)
    transitions(announce("toy", "w", seconds=30))
    assert estimate(redis_url, record).eta_seconds is not None
    store.delete(pace_key("toy"))
    assert estimate(redis_url, record) == QueueEstimate(queue_position=1, eta_seconds=None)


def test_a_registration_that_has_run_out_counts_no_more(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """Also when nobody has removed it yet."""
    transitions(announce("toy", "w", seconds=0.001))
    record = queued(store, transitions)
    time.sleep(0.01)
    assert store.zcard(workers_key("toy")) == 1
    assert estimate(redis_url, record).eta_seconds is None


def test_a_job_that_has_ended_has_no_outlook(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """Neither a place nor a time."""
    claim = a_running_job(transitions)
    transitions(claim.finish())
    assert estimate(redis_url, record_of(store, claim)) == QueueEstimate()


def test_a_poll_costs_one_round_trip_more(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """One write to the socket, whatever it asks."""
    record = queued(store, transitions)

    async def sends() -> int:
        pool = ConnectionPool.from_url(redis_url, connection_class=CountingConnection)
        async with AsyncRedis(connection_pool=pool) as client:
            await QueueEstimates(client).of(record)  # connects, and loads the script
            CountingConnection.sends = 0
            await QueueEstimates(client).of(record)
        await pool.aclose()
        return CountingConnection.sends

    assert asyncio.run(sends()) == 1


def test_a_backlog_counts_jobs_and_live_workers(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """Each model for itself."""
    a_running_job(transitions)
    taken = a_request()
    transitions(create(taken, bound=100))
    transitions(acquire(a_claim(taken)))
    queued(store, transitions)

    async def ask() -> dict[str, Backlog]:
        async with AsyncRedis.from_url(redis_url) as client:
            return await QueueEstimates(client).backlogs(["toy", "other"])

    nothing = Backlog(queued=0, running=0, workers=0)
    assert asyncio.run(ask()) == {"toy": Backlog(queued=1, running=2, workers=1), "other": nothing}


def test_polls_share_what_they_read_of_the_queue(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """A job that runs is estimated without Redis, until the queue is read anew. A job that waits always asks for its place."""
    running, first = record_of(store, a_running_job(transitions)), queued(store, transitions)

    async def ask() -> list[QueueEstimate]:
        async with AsyncRedis.from_url(redis_url) as client:
            estimates = QueueEstimates(client)
            found = [await estimates.of(first)]
            behind = [queued_later(store, transitions) for _ in range(3)]
            found += [await estimates.of(each) for each in behind]
            store.delete(pace_key("toy"))
            store.config_resetstat()
            found.append(await estimates.of(running))
            assert "cmdstat_evalsha" not in store.info("commandstats")
            await asyncio.sleep(SHARED_SECONDS)
            return [*found, await estimates.of(running)]

    *waiting, shared, late = asyncio.run(ask())
    assert [each.queue_position for each in waiting] == [1, 2, 3, 4]
    seconds = [each.eta_seconds or 0 for each in waiting]
    assert sorted(set(seconds)) == seconds, "each waits for those before it"
    assert (shared.queue_position, shared.eta_seconds is None, late.eta_seconds) == (None, False, None)


def test_jobs_that_wait_share_what_was_read_of_the_running_ones(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """The second of two does not read them again, and its estimate counts them."""
    for _ in range(20):
        a_running_job(transitions)
    first, second = queued(store, transitions), queued_later(store, transitions)

    async def ask(*records: JobRecord) -> QueueEstimate:
        async with AsyncRedis.from_url(redis_url) as client:
            estimates = QueueEstimates(client)
            for each in records:
                store.config_resetstat()
                found = await estimates.of(each)
            return found

    shared = asyncio.run(ask(first, second))
    assert store.info("commandstats")["cmdstat_hmget"]["calls"] < 5
    assert shared == asyncio.run(ask(second))


def test_jobs_that_wait_share_what_was_read_of_the_queue(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """Of a list that has not doubled nobody reads the rows again: the place alone needs the first job of the owner."""
    for _ in range(10):
        queued(store, transitions)
    first, second = queued(store, transitions), queued_later(store, transitions)

    async def ask(*records: JobRecord) -> tuple[QueueEstimate, int]:
        async with AsyncRedis.from_url(redis_url) as client:
            estimates = QueueEstimates(client)
            for each in records:
                store.config_resetstat()
                found = await estimates.of(each)
            return found, store.info("commandstats")["cmdstat_hmget"]["calls"]

    (shared, few), (alone, many) = asyncio.run(ask(first, second)), asyncio.run(ask(second))
    assert shared == alone
    assert (few, many) == (1, 13)


def test_a_job_that_waits_counts_those_that_were_taken_since(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """As in a burst of submits, of which a worker takes the first at once: they are neither queued nor known as running."""
    first = queued(store, transitions)

    async def ask() -> tuple[QueueEstimate, QueueEstimate]:
        async with AsyncRedis.from_url(redis_url) as client:
            estimates = QueueEstimates(client)
            await estimates.of(first)
            for _ in range(4):
                a_running_job(transitions)
            last = queued_later(store, transitions)
            return await estimates.of(last), await QueueEstimates(client).of(last)

    shared, fresh = asyncio.run(ask())
    assert shared == fresh


def test_polls_that_come_at_once_read_the_queue_once(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """A round wakes all of them. The others use what was read before."""
    running = [record_of(store, a_running_job(transitions)) for _ in range(5)]

    async def ask() -> list[QueueEstimate]:
        async with AsyncRedis.from_url(redis_url) as client:
            estimates = QueueEstimates(client)
            await estimates.of(running[0])
            await asyncio.sleep(SHARED_SECONDS)
            store.config_resetstat()
            return await asyncio.gather(*map(estimates.of, running))

    assert len(set(asyncio.run(ask()))) == 1
    assert store.info("commandstats")["cmdstat_evalsha"]["calls"] == 1
