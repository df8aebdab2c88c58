"""Whose job is next: the owners' queues over a real Redis."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import redis

from service.contract.redis_keys import owners_key, waiting_key
from service.contract.request import JobRequest, Priority
from service.contract.transitions import (
    UNLIMITED,
    Claim,
    Outcome,
    Transitions,
    cancel,
    create,
    next_job,
    requeue,
)
from tests.harness.drawing import a_claim, a_request, acquire


class Shop:
    """Submits jobs, and takes them as a worker does."""

    def __init__(self, store: redis.Redis) -> None:
        self.store, self.transitions = store, Transitions(store)
        self.requests: dict[str, JobRequest] = {}

    def submit(
        self,
        owner: str,
        *,
        images: int = 1,
        weight: int = 1,
        priority: Priority = Priority.INTERACTIVE,
        bound: int = 10**6,
    ) -> JobRequest:
        """Return a new job, which was created after all others."""
        request = replace(a_request(num_images=images), owner=owner, priority=priority)
        limits = replace(UNLIMITED, weight=weight)
        if self.transitions(create(request, bound=bound, limits=limits)).outcome is Outcome.DONE:
            self.requests[request.id] = request
            apart = 1000 * len(self.requests)  # jobs of one millisecond would go by their ids
            self.store.zincrby(waiting_key("toy", owner), apart, request.id)
        return request

    def take(self, *, without: set[str] | None = None) -> JobRequest | None:
        """Acquire the job that is next."""
        found = self.transitions(next_job("toy", except_owners=without))
        if found.outcome is Outcome.EMPTY:
            return None
        request = self.requests[found.value]
        assert self.transitions(acquire(a_claim(request))).outcome is Outcome.DONE
        return request

    def owners(self, count: int) -> str:
        """The owners of the next jobs."""
        return "".join(request.owner if (request := self.take()) else "-" for _ in range(count))


@pytest.fixture
def shop(store: redis.Redis) -> Shop:
    """An empty queue."""
    return Shop(store)


def test_jobs_of_one_owner_go_by_time(shop: Shop) -> None:
    """And the queue is empty afterwards."""
    submitted = [shop.submit("") for _ in range(5)]
    assert [shop.take() for _ in range(6)] == [*submitted, None]
    assert not shop.store.exists(owners_key("toy"))


def test_owners_share_by_images_and_not_by_jobs(shop: Shop) -> None:
    """A has jobs of four images, B single ones: four of B for each of A."""
    for _ in range(3):
        shop.submit("A", images=4)
    for _ in range(9):
        shop.submit("B")
    assert shop.owners(10) == "ABBBBABBBB"


def test_a_flood_delays_the_job_of_another_owner_by_one_job_at_most(shop: Shop) -> None:
    """However many images the flood has had before."""
    for _ in range(50):
        shop.submit("A", images=16)
    shop.owners(40)
    shop.submit("B")
    assert "B" in shop.owners(2)


def test_who_keeps_one_job_waiting_does_not_starve_others(shop: Shop) -> None:
    """B submits as soon as its last job was taken; A still has half of the images."""
    for _ in range(20):
        shop.submit("B", images=4)
        shop.submit("A", images=4)
    images, order = Counter[str](), ""
    for _ in range(20):
        taken = shop.take()
        assert taken
        images[taken.owner] += taken.num_images
        if taken.owner == "B":
            shop.submit("B", images=4)
        order += taken.owner
    assert abs(images["A"] - images["B"]) <= 4, order


def test_weights_are_the_ratio_of_images(shop: Shop) -> None:
    """Three to one."""
    for _ in range(20):
        shop.submit("A", weight=3)
        shop.submit("B")
    assert Counter(shop.owners(20)) == {"A": 15, "B": 5}


def test_batch_jobs_of_an_owner_come_after_its_interactive_ones(shop: Shop) -> None:
    """Between owners the priority changes nothing."""
    batch = [shop.submit("A", priority=Priority.BATCH) for _ in range(2)]
    interactive = shop.submit("A")
    other = shop.submit("B")
    taken = [shop.take() for _ in range(4)]
    assert [job for job in taken if job != other] == [interactive, *batch]
    assert taken.index(other) <= 1


def test_the_next_job_of_other_owners_is_interactive(shop: Shop) -> None:
    """As a worker asks that is full of jobs of A."""
    shop.submit("A")
    shop.submit("B", priority=Priority.BATCH)
    wanted = shop.submit("C")
    assert shop.take(without={"A"}) == wanted
    assert shop.take(without={"A"}) is None
    assert Counter(shop.owners(3)) == {"A": 1, "B": 1, "-": 1}


def test_a_lost_job_is_next_and_counts_once(shop: Shop) -> None:
    """Its images are not counted for its owner again."""
    shop.submit("A", images=16)
    lost = shop.take()
    assert lost
    for owner in "BA":
        shop.submit(owner)
    before = shop.store.zrange(owners_key("toy"), 0, -1, withscores=True)
    shop.store.hset(lost.keys.record, "lease_until", 1)
    shop.transitions(requeue(lost.keys))
    assert shop.take() == lost
    after = [each for each in shop.store.zrange(owners_key("toy"), 0, -1, withscores=True) if each[0] != b"!"]
    assert after == before
    assert shop.take(without={"A"}) is not None


def test_a_worker_that_is_full_takes_no_lost_job(shop: Shop) -> None:
    """The room beyond is for owners that have none of it."""
    shop.submit("A")
    lost = shop.take()
    assert lost
    shop.store.hset(lost.keys.record, "lease_until", 1)
    shop.transitions(requeue(lost.keys))
    assert shop.take(without={"B"}) is None


def test_a_job_that_two_workers_find_goes_to_one(shop: Shop) -> None:
    """The other is refused, and finds the next."""
    first, second = shop.submit("A"), shop.submit("A")
    found = [shop.transitions(next_job("toy")).value for _ in range(2)]
    assert found == [first.id, first.id]
    outcomes = [shop.transitions(acquire(Claim(keys=first.keys, token=token))).outcome for token in ("x", "y")]
    assert outcomes == [Outcome.DONE, Outcome.LEASED]
    assert shop.take() == second


def test_a_canceled_job_leaves_the_queue(shop: Shop) -> None:
    """At once."""
    shop.transitions(cancel(shop.submit("A").keys))
    assert shop.take() is None


def test_a_full_queue_takes_one_job_of_an_owner_that_has_none(shop: Shop) -> None:
    """And then no other of it, until that has begun."""
    for _ in range(5):
        shop.submit("A", bound=3)
    accepted = Counter(request.owner for request in shop.requests.values())
    assert accepted == {"A": 3}
    for _ in range(2):
        shop.submit("B", bound=3)
    assert Counter(request.owner for request in shop.requests.values()) == {"A": 3, "B": 1}
