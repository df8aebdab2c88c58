"""The task that makes the object store as Redis has the jobs, over a real Redis and a folder."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis

from service.contract.redis_keys import UNSTORED, Keys
from service.contract.request import JobRequest
from service.contract.transitions import Transitions, cancel, create, erase, unstored
from service.errors import UnavailableError
from service.results import object_store
from service.results.object_store import Results, path_of
from service.results.stored_job import StoredJob
from service.results.writer import ResultWriter
from tests.harness.drawing import a_request
from tests.harness.object_stores import Gate


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


def ended(transitions: Transitions) -> JobRequest:
    """A job that has to be stored."""
    request = a_request()
    transitions(create(request, bound=99, results=True))
    transitions(cancel(request.keys))
    return request


def writing(redis_url: str, results: Results, act: Callable[[ResultWriter], Awaitable[Any]]) -> None:
    """Act with a writer whose claims end at once."""

    async def run() -> None:
        async with AsyncRedis.from_url(redis_url) as client:
            await act(ResultWriter(client, results, keep_seconds=60, claim_seconds=0))

    asyncio.run(run())


class Erasing(Results):
    """A store whose first write is followed by an erase of the job, before its writer can note it."""

    transitions: Transitions

    async def write(self, job: str, stored: StoredJob) -> None:
        """Do as Results.write."""
        await super().write(job, stored)
        self.transitions(erase(Keys(id=job, model="toy"), results=True))


def test_a_job_that_is_erased_while_it_is_written_is_deleted(
    store: redis.Redis, redis_url: str, transitions: Transitions, tmp_path: Path
) -> None:
    """At once by its writer, and again by whoever claims it next: the first may die before."""
    request, results = ended(transitions), Erasing(str(tmp_path))
    results.transitions = transitions

    async def twice(writer: ResultWriter) -> None:
        assert await writer.sweep() == 1
        assert not (tmp_path / path_of(request.id)).exists()
        assert store.zrange(UNSTORED, 0, -1) == [request.id.encode()]
        (tmp_path / path_of(request.id)).write_bytes(b"of a writer that died")
        assert await writer.sweep() == 1

    writing(redis_url, results, twice)
    assert not (tmp_path / path_of(request.id)).exists()
    assert store.zcard(UNSTORED) == 0


def test_a_record_that_cannot_be_read_delays_no_other(
    store: redis.Redis, redis_url: str, transitions: Transitions, tmp_path: Path
) -> None:
    """It stays in Redis for its retention."""
    damaged, whole = ended(transitions), ended(transitions)
    store.hset(damaged.keys.record, "status", "of a newer release")
    writing(redis_url, Results(str(tmp_path)), ResultWriter.sweep)
    assert (tmp_path / path_of(whole.id)).exists()
    assert store.zrange(UNSTORED, 0, -1) == [damaged.id.encode()]


def test_processes_claim_different_jobs(transitions: Transitions) -> None:
    """Until a claim ends; one that failed is due at once."""
    jobs = {ended(transitions).id for _ in range(3)}
    first = transitions(unstored(count=2, claim_seconds=60)).values
    second = transitions(unstored(count=2, claim_seconds=60)).values
    assert {*first, *second} == jobs
    assert (len(first), len(second)) == (2, 1)
    assert transitions(unstored(count=2, claim_seconds=60)).values == ()
    assert transitions(unstored(count=2, claim_seconds=60, returned=first[:1])).values == first[:1]


def test_a_store_that_hangs_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a bound."""
    monkeypatch.setattr(object_store, "CALL_SECONDS", 0.2)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION"):
        monkeypatch.setenv(f"AWS_{name}", "x")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UnavailableError):
            asyncio.run(Results("s3://bucket").read("job"))


def test_a_bucket_that_does_not_exist_is_unavailable(gate: Gate) -> None:
    """It keeps no job."""
    gate.open, calls = True, list[tuple[str, bool]]()
    results = Results("s3://missing", observe=lambda operation, succeeded, _: calls.append((operation, succeeded)))
    with pytest.raises(UnavailableError):
        asyncio.run(results.write("ab12", StoredJob(fields={}, entries=[])))
    assert calls == [("write", False)]


def test_a_writer_that_was_stopped_writes_nothing(
    store: redis.Redis, redis_url: str, transitions: Transitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim may have ended: it must not bring back a job that was erased meanwhile."""
    request = ended(transitions)
    monkeypatch.setattr("service.results.writer.CALL_SECONDS", 0)

    async def refused(writer: ResultWriter) -> None:
        with pytest.raises(UnavailableError):
            await writer.sweep()

    writing(redis_url, Results(str(tmp_path)), refused)
    assert not (tmp_path / path_of(request.id)).exists()
    assert store.zcard(UNSTORED) == 1


def test_a_written_file_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its content, and its name in each folder above."""
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink())))
    asyncio.run(Results(str(tmp_path)).write("ab12", StoredJob(fields={}, entries=[])))
    assert synced == {str(tmp_path / part) for part in ("", "jobs", "jobs/ab", "jobs/ab/ab12.json.gz")}


def test_parts_of_a_file_whose_writer_was_killed_are_deleted_too(tmp_path: Path) -> None:
    """They may be the content of an erased job."""
    part = tmp_path / f"{path_of('ab12')}#1"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    asyncio.run(Results(str(tmp_path)).erase("ab12"))
    assert not part.exists()
