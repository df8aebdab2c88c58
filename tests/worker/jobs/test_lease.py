"""Leases as the worker sees them: alive, lost, and in doubt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.contract.redis_keys import workers_key
from service.contract.statuses import Status
from service.contract.transitions import Claim, Outcome, Transitions, create
from tests.harness.counting import CountingConnection, counting_client
from tests.harness.drawing import a_claim, a_request, a_running_job, acquire, record_of
from tests.harness.launcher import RedisServer
from tests.worker.test_batch import Workplace
from worker.doctor.store_check import live_workers
from worker.jobs.backoff import Backoff
from worker.jobs.lease import Heartbeat, Lease
from worker.settings import WorkerSettings

LEASE_SECONDS = 0.5


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis to be killed."""
    with RedisServer(tmp_path, durable=True) as server:
        yield server


def held(claim: Claim) -> Lease:
    """Just acquired."""
    return Lease(claim, until=time.monotonic() + LEASE_SECONDS)


def test_a_heartbeat_keeps_every_lease_alive(store: redis.Redis, transitions: Transitions) -> None:
    """By Redis' clock and by the worker's own."""
    leases = [held(a_running_job(transitions, lease_seconds=LEASE_SECONDS)) for _ in range(3)]
    beating = Heartbeat(store, model="toy", worker="w", lease_seconds=LEASE_SECONDS, seconds=0.05)
    with beating:
        for lease in leases:
            beating.hold(lease)
        time.sleep(2 * LEASE_SECONDS)
        for lease in leases:
            assert not lease.expired
            assert transitions(acquire(Claim(keys=lease.claim.keys, token="other"))).outcome is Outcome.LEASED


def test_a_heartbeat_learns_of_a_takeover_in_the_middle_of_a_slice(
    store: redis.Redis, transitions: Transitions
) -> None:
    """No write of the main thread is needed, and the lease is not thought to live on."""
    lease = held(a_running_job(transitions))
    store.hset(lease.claim.keys.record, "token", "thief")
    beating = Heartbeat(store, model="toy", worker="w", lease_seconds=30, seconds=60)
    beating.hold(lease)
    beating.beat()
    assert lease.lost
    assert lease.until <= time.monotonic() + LEASE_SECONDS


def test_all_leases_are_renewed_in_one_round_trip(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """With the announcement of the worker."""
    leases = [held(a_running_job(transitions)) for _ in range(30)]
    with counting_client(redis_url) as client:
        beating = Heartbeat(client, model="toy", worker="w", lease_seconds=30, seconds=60)
        for lease in leases:
            beating.hold(lease)
        beating.beat()
    assert CountingConnection.sends == 1
    assert all(lease.until > time.monotonic() + 20 for lease in leases)
    assert store.zcard(workers_key("toy")) == 1


def test_a_round_that_hangs_loses_its_leases(store: redis.Redis, transitions: Transitions) -> None:
    """And the worker counts as dead, until the round ends: then everything is as before."""
    lease = held(a_running_job(transitions, lease_seconds=LEASE_SECONDS))
    beating = Heartbeat(store, model="toy", worker="w", lease_seconds=LEASE_SECONDS, seconds=0.05)
    with beating:
        beating.hold(lease)
        with beating.round(limit_seconds=0.01):
            deadline = time.monotonic() + 60
            while not lease.expired or live_workers(store, "toy"):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert transitions(acquire(Claim(keys=lease.claim.keys, token="other"))).outcome is Outcome.DONE
        while not lease.lost or not live_workers(store, "toy"):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("limit_seconds", [None, 60.0])
def test_a_round_within_its_limit_keeps_its_leases(
    store: redis.Redis, transitions: Transitions, limit_seconds: float | None
) -> None:
    """However long it lasts beside a lease; and before anything is known of its pace."""
    lease = held(a_running_job(transitions, lease_seconds=LEASE_SECONDS))
    beating = Heartbeat(store, model="toy", worker="w", lease_seconds=LEASE_SECONDS, seconds=60)
    beating.hold(lease)
    with beating.round(limit_seconds):
        until = lease.until
        time.sleep(1.2 * LEASE_SECONDS)
        beating.beat()
        assert lease.until > until


def test_a_lease_never_outlives_that_of_redis(store: redis.Redis, transitions: Transitions) -> None:
    """By its own clock the worker is in doubt no later than another worker may take the job."""
    lease = held(a_running_job(transitions))
    for _ in range(20):
        lease.renew(transitions, lease_seconds=LEASE_SECONDS)
        seconds, micros = store.time()
        left = record_of(store, lease.claim).lease_until / 1000 - seconds - micros / 1e6
        assert lease.until - time.monotonic() <= left + 0.002  # Redis counts in whole milliseconds


def test_a_lease_runs_out_by_the_workers_own_clock_while_redis_is_away(mortal: RedisServer) -> None:
    """Nobody has to tell it; and it is neither lost nor kept until Redis is asked."""
    with redis.Redis.from_url(mortal.url, retry=Backoff()) as client:
        lease = held(a_running_job(Transitions(client), lease_seconds=LEASE_SECONDS))
    with redis.Redis.from_url(mortal.url) as client:
        beating = Heartbeat(client, model="toy", worker="w", lease_seconds=LEASE_SECONDS, seconds=0.05)
        beating.hold(lease)
        mortal.kill()
        with beating:
            time.sleep(LEASE_SECONDS + 0.1)
            assert lease.expired
            assert not lease.lost


@pytest.mark.parametrize("taken", [False, True])
def test_in_doubt_the_batch_asks_before_it_draws(store: redis.Redis, taken: bool) -> None:
    """A job that is still its own goes on to the end; one that was taken over is dropped without a write."""
    place = Workplace(store)
    keys = place.submit(a_request())

    def stall() -> None:
        if len(place.sampler.batches) == 2:
            job = place.batch._jobs[keys.id]  # noqa: SLF001 - the clock of a stall of many seconds
            job.lease.until = 0
            if taken:
                store.hset(keys.record, "lease_until", 1)
                place.transitions(acquire(Claim(keys=keys, token="other")))

    place.tickets.beat = stall  # type: ignore[method-assign] # after the slices of a round are published
    place.batch.run()
    assert place.record(keys).status is (Status.RUNNING if taken else Status.SUCCEEDED)
    if taken:
        assert len(place.sampler.batches) == 2
        assert store.hget(keys.record, "token") == b"other"


def test_what_was_generated_while_redis_was_away_is_published_when_it_is_back(mortal: RedisServer) -> None:
    """The batch waits in the middle of its work, and the job ends as if nothing had been."""
    with redis.Redis.from_url(mortal.url, retry=Backoff()) as client:
        place = Workplace(client)
        job = place.submit(a_request())

        def restart() -> None:
            if len(place.sampler.batches) == 2:
                mortal.kill()
                mortal.start()

        place.sampler.between = restart
        place.batch.run()
        record = place.record(job)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, 1)


def test_a_lease_survives_lost_heartbeats_by_default() -> None:
    """Two beats may fail, each with its full time-out, before the third would be too late."""
    settings = WorkerSettings()
    between = settings.heartbeat_seconds
    assert between * 4 <= settings.lease_seconds


def test_create_then_lose_everything_is_told_as_lost(store: redis.Redis, transitions: Transitions) -> None:
    """A Redis that came back without the job has nothing for its worker to write to."""
    request = a_request()
    transitions(create(request, bound=9))
    claim = a_claim(request)
    transitions(acquire(claim))
    lease = held(claim)
    store.delete(claim.keys.record)
    lease.renew(transitions, lease_seconds=30)
    assert lease.lost
