"""Lists of jobs over a real Redis: the work of a page is bounded, whatever it looks for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis

from service.contract.redis_keys import owned_key
from service.contract.statuses import Status
from service.contract.transitions import Transitions, cancel, create
from service.errors import ListingLimitError
from service.jobs.listing import CHUNK, MOST_SCANNED, Listing, Page
from tests.harness.drawing import a_request


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


def pages(
    url: str,
    *,
    status: Status | None = None,
    limit: int = 10,
    gone: Callable[[], Awaitable[bool]] | None = None,
    most: int = 100,
) -> list[Page]:
    """All pages of everybody's jobs, `most` at the utmost."""

    async def run() -> list[Page]:
        async with AsyncRedis.from_url(url) as client:
            listing, found, cursor = Listing(client), list[Page](), None
            while not found or (cursor and len(found) < most):
                more = {"gone": gone} if gone else {}
                page = await listing.page(owner="", status=status, limit=limit, cursor=cursor, **more)
                found, cursor = [*found, page], page.cursor
            return found

    return asyncio.run(run())


def many(store: redis.Redis, transitions: Transitions, count: int) -> str:
    """Make `count` queued jobs, the oldest of them canceled; return its id."""
    oldest = a_request()
    transitions(create(oldest, bound=10**6))
    transitions(cancel(oldest.keys))
    other = a_request()
    transitions(create(other, bound=10**6))
    fields: Any = store.hgetall(other.keys.record)
    created = store.zscore(owned_key("", "jobs"), oldest.id) or 0.0
    with store.pipeline(transaction=False) as pipeline:
        for number in range(count):
            copy = f"{number:012x}"
            pipeline.hset(other.keys.record.replace(other.id, copy), mapping=fields)
            pipeline.zadd(owned_key("", "jobs"), {copy: created + 1 + number // 3})
        pipeline.execute()
    return oldest.id


def test_a_rare_status_among_many_jobs_takes_pages_of_bounded_work(
    store: redis.Redis, redis_url: str, transitions: Transitions
) -> None:
    """Empty pages have a cursor too; the job is found in the end, and no record is decoded for the others."""
    oldest = many(store, transitions, 2 * MOST_SCANNED)
    store.config_resetstat()
    found = pages(redis_url, status=Status.CANCELED)
    assert [record.request.id for page in found for record in page.records] == [oldest]
    assert 3 <= len(found) <= 4
    assert store.info("commandstats")["cmdstat_hgetall"]["calls"] == 1
    store.config_resetstat()
    pages(redis_url, status=Status.CANCELED, most=1)
    assert store.info("commandstats")["cmdstat_hget"]["calls"] <= MOST_SCANNED + CHUNK


def test_pages_hold_every_job_once(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """Newest first, also jobs of one millisecond; the last page has no cursor."""
    many(store, transitions, 25)
    found = pages(redis_url, limit=7)
    assert [len(page.records) for page in found] == [7, 7, 7, 6]
    (whole,) = pages(redis_url, status=Status.QUEUED, limit=26)  # only the oldest job follows, of another status
    assert len(whole.records) == 26
    ids: Any = store.zrevrange(owned_key("", "jobs"), 0, -1)
    assert len(set(ids)) == 27
    created = [store.zscore(owned_key("", "jobs"), each) or 0.0 for each in ids]
    assert created == sorted(created, reverse=True)


def test_a_record_that_cannot_be_decoded_is_left_out_and_logged_once(
    store: redis.Redis, redis_url: str, transitions: Transitions, caplog: pytest.LogCaptureFixture
) -> None:
    """A newer release may have written it; the others are listed."""
    requests = [a_request() for _ in range(3)]
    for request in requests:
        transitions(create(request, bound=10))
    store.hset(requests[1].keys.record, "request", "[" * 300)
    for _ in range(2):
        (page,) = pages(redis_url)
        assert {record.request.id for record in page.records} == {requests[0].id, requests[2].id}
    assert sum(requests[1].id in record.message for record in caplog.records) == 1


def test_a_page_ends_with_its_caller(store: redis.Redis, redis_url: str, transitions: Transitions) -> None:
    """After the chunk in hand."""

    async def gone() -> bool:
        return True

    many(store, transitions, 3 * CHUNK)
    store.config_resetstat()
    pages(redis_url, status=Status.CANCELED, gone=gone, most=1)
    assert store.info("commandstats")["cmdstat_hget"]["calls"] == CHUNK


def test_an_owner_lists_so_many_pages_in_a_minute(redis_url: str) -> None:
    """Then the refusal says when to retry; other owners are not concerned."""

    async def run() -> int:
        async with AsyncRedis.from_url(redis_url) as client:
            listing = Listing(client, pages_per_minute=2)
            for owner in ("a", "a", "b"):
                await listing.page(owner=owner, status=None, limit=1, cursor=None)
            with pytest.raises(ListingLimitError) as refused:
                await listing.page(owner="a", status=None, limit=1, cursor=None)
            return refused.value.retry_after_seconds or 0

    assert 50 <= asyncio.run(run()) <= 61
