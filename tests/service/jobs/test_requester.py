"""Who may see a job, over a real Redis: its owner, and the holder of its signature."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis

from service.contract.request import JobRequest
from service.contract.transitions import Transitions, create
from service.errors import UnknownJobError
from service.jobs.requester import JobOwner, Requester, SignatureHolder
from service.jobs.store import Jobs
from service.jobs.tickets import Tickets
from tests.harness.drawing import a_request


def got(url: str, job: str, requester: Requester) -> JobRequest:
    """The request of a job as the API reads it."""

    async def ask() -> JobRequest:
        async with AsyncRedis.from_url(url) as client:
            with redis.Redis.from_url(url) as blocking:
                jobs = Jobs(client, Tickets(blocking), queue_bound=1)
                return (await jobs.get(job, requester)).request

    return asyncio.run(ask())


@pytest.fixture
def job(store: redis.Redis) -> JobRequest:
    """A job of the owner studio."""
    request = replace(a_request(), owner="studio")
    Transitions(store)(create(request, bound=1))
    return request


def test_its_owner_and_its_signature_see_a_job(job: JobRequest, redis_url: str) -> None:
    """Each by the job's id."""
    for requester in (JobOwner("studio"), SignatureHolder(job.id)):
        assert got(redis_url, job.id, requester) == job


def test_nobody_else_does(job: JobRequest, redis_url: str) -> None:
    """Not another owner, not everybody, not the signature of another job."""
    for requester in (JobOwner("ci"), JobOwner(""), SignatureHolder("0123456789ab")):
        with pytest.raises(UnknownJobError):
            got(redis_url, job.id, requester)


@pytest.mark.parametrize("suffix", [":stream", ":", "\n", "*", "G", "é"])
def test_what_is_no_id_never_reaches_redis(suffix: str, job: JobRequest, redis_url: str) -> None:
    """It could name another key than a record: that was a WRONGTYPE, told as an unavailable store."""
    with pytest.raises(UnknownJobError):
        got(redis_url, job.id + suffix, JobOwner("studio"))
