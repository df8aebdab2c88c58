"""The slices of a round, published together into a real Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from models.subscale import Progress
from service.contract.transitions import Claim, Outcome, Transitions, cancel
from tests.harness.counting import CountingConnection, counting_client
from tests.harness.drawing import GEOMETRY, a_picture, a_running_job, events_of
from tests.harness.later import later
from tests.harness.launcher import RedisServer
from worker.jobs.backoff import Backoff
from worker.jobs.lease import Lease
from worker.jobs.publish import LeaseTerms, NewSlice, Publisher

IMAGES = 3


def publisher(client: redis.Redis) -> Publisher:
    """Of a worker of the toy model."""
    return Publisher(client, model="toy", terms=LeaseTerms(weights="w", numerics="n", lease_seconds=30, max_attempts=3))


def generated(claims: list[Claim]) -> list[NewSlice]:
    """The first slice of every image of each job."""
    leases = [Lease(claim, until=time.monotonic() + 30) for claim in claims]
    progress = Progress(geometry=GEOMETRY).with_slice(a_picture().slices[0])
    return [NewSlice(lease=lease, image=image, progress=progress) for lease in leases for image in range(IMAGES)]


def claims(client: redis.Redis, jobs: int = 3) -> list[Claim]:
    """Jobs that this worker holds."""
    transitions = Transitions(client)
    return [a_running_job(transitions, num_images=IMAGES) for _ in range(jobs)]


def slices(client: redis.Redis, claim: Claim) -> list[int | None]:
    """The images whose first slice has been published."""
    return [event.slice.image for event in events_of(client, claim) if event.slice]


def test_a_round_goes_out_in_one_write(store: redis.Redis, redis_url: str) -> None:
    """However many slices there are."""
    round_ = generated(claims(store))
    with counting_client(redis_url) as client:
        publisher(client).append(round_)
    assert CountingConnection.sends == 1
    assert all(slices(store, claim) == [0, 1, 2] for claim in {id(d.lease): d.lease.claim for d in round_}.values())


def test_each_lease_learns_what_concerns_its_job(store: redis.Redis) -> None:
    """One was taken over and one is to stop: the others know nothing of it, and their slices are there."""
    held, stolen, stopped = claims(store)
    store.hset(stolen.keys.record, "token", "thief")
    Transitions(store)(cancel(stopped.keys))
    round_ = generated([held, stolen, stopped])
    publisher(store).append(round_)
    leases = [each.lease for each in round_[::IMAGES]]
    assert [(lease.lost, lease.canceling) for lease in leases] == [(False, False), (True, False), (False, True)]
    assert [slices(store, claim) for claim in (held, stolen, stopped)] == [[0, 1, 2], [], [0, 1, 2]]


def test_a_broken_job_is_given_up_and_the_others_are_published(
    store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Its stream is of another type. The log has the reason."""
    first, broken, last = claims(store)
    store.set(broken.keys.stream, "not of this type")
    round_ = generated([first, broken, last])
    publisher(store).append(round_)
    assert [each.lease.lost for each in round_[::IMAGES]] == [False, True, False]
    assert [slices(store, claim) for claim in (first, last)] == [[0, 1, 2]] * 2
    assert f"job {broken.keys.id} is damaged: WRONGTYPE" in caplog.text


def test_jobs_end_together(store: redis.Redis, redis_url: str) -> None:
    """In one write; one that was taken over does not."""
    held, stolen, other = claims(store)
    store.hset(stolen.keys.record, "token", "thief")
    leases = [Lease(claim, until=time.monotonic() + 30) for claim in (held, stolen, other)]
    with counting_client(redis_url) as client:
        outcomes = publisher(client).finish(leases)
    assert (outcomes, CountingConnection.sends) == ([Outcome.DONE, Outcome.LOST, Outcome.DONE], 1)
    assert [lease.lost for lease in leases] == [False, True, False]


def test_nothing_generated_is_nothing_to_say(store: redis.Redis) -> None:
    """As when all jobs of a round were taken over."""
    publisher(store).append([])
    assert store.dbsize() == 0


def test_a_round_sent_twice_counts_once(store: redis.Redis) -> None:
    """As when the connection broke before its answers."""
    (claim,) = claims(store, 1)
    for _ in range(2):
        publisher(store).append(generated([claim]))
    assert slices(store, claim) == [0, 1, 2]


def test_a_redis_that_forgot_the_script_gets_it_again(store: redis.Redis) -> None:
    """As after a restart."""
    held = claims(store, 2)
    store.script_flush()
    publisher(store).append(generated(held))
    assert [slices(store, claim) for claim in held] == [[0, 1, 2]] * 2


@pytest.fixture
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with RedisServer(tmp_path_factory.mktemp("redis"), durable=True) as server:
        yield server


def test_a_round_waits_for_a_redis_that_is_away(mortal: RedisServer) -> None:
    """And comes whole, once it is back."""
    with redis.Redis.from_url(mortal.url, retry=Backoff()) as client:
        held = claims(client)
        mortal.kill()
        round_ = generated(held)
        with later(1, mortal.start):
            publisher(client).append(round_)
        assert [slices(client, claim) for claim in held] == [[0, 1, 2]] * 3
    assert not any(each.lease.lost for each in round_)


def test_a_round_that_finds_redis_full_is_published_whole_once_there_is_room(
    store: redis.Redis, redis_url: str
) -> None:
    """Some of its slices may have had room at first."""
    held = claims(store)
    store.config_set("maxmemory", 1)
    with (
        later(1, lambda: store.config_set("maxmemory", 0)),
        redis.Redis.from_url(redis_url, retry=Backoff()) as client,
    ):
        publisher(client).append(generated(held))
    assert [slices(store, claim) for claim in held] == [[0, 1, 2]] * 3


def test_a_job_with_an_event_of_a_newer_release_is_taken_as_any_other(store: redis.Redis) -> None:
    """Such events are skipped; it once failed the job as unreadable."""
    (claim,) = claims(store, jobs=1)
    publisher(store).append(generated([claim]))
    store.xadd(claim.keys.stream, {"event": "paused", "until": "later"})
    Transitions(store)(claim.release())
    acquired = publisher(store).take(claim.keys.id)
    assert acquired
    assert [progress.done for progress in acquired.images.progress] == [1] * IMAGES
