"""Ended jobs as objects."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import redis

from service.contract.record import JobRecord, UnreadableRecordError
from service.contract.statuses import EventKind, Status
from service.contract.stream import decode_events
from service.contract.transitions import Claim, Transitions, create
from service.contract.transitions import stored as note_stored
from service.results.stored_job import StoredJob
from tests.harness.drawing import GEOMETRY, a_claim, a_request, acquire, an_entry

NOW = 9**14
"""In ms."""


def a_job(store: redis.Redis, *, results: bool = True) -> Claim:
    """The claim on a job with one slice."""
    request, transitions = a_request(), Transitions(store)
    transitions(create(request, bound=9, results=results))
    claim = a_claim(request)
    transitions(acquire(claim))
    transitions(claim.append(an_entry(0)))
    return claim


def of(store: redis.Redis, claim: Claim) -> StoredJob:
    """The job as it is in Redis."""
    fields, entries = redis_has(store, claim)
    return StoredJob.of(fields, entries, now=NOW)


def redis_has(store: redis.Redis, claim: Claim) -> tuple[Any, Any]:
    """Record and stream of the job."""
    return store.hgetall(claim.keys.record), store.xrange(claim.keys.stream)


def test_an_object_has_all_of_a_job_but_its_token(store: redis.Redis) -> None:
    """Whatever bytes its slices have; it can be read with gunzip and jq."""
    claim = a_job(store)
    Transitions(store)(claim.cancel())
    stored = of(store, claim)
    again = StoredJob.from_bytes(stored.to_bytes())
    assert (again.fields, list(again.entries)) == (stored.fields, list(stored.entries))
    assert {**again.fields, b"token": b""} == store.hgetall(claim.keys.record)
    assert stored.model == "toy"
    assert json.loads(gzip.decompress(stored.to_bytes()))["record"]["status"] == "canceled"


def test_a_complete_job_is_stored_as_it_is_after_that(store: redis.Redis) -> None:
    """Record and events are those that Redis has once it is told."""
    claim, transitions = a_job(store), Transitions(store)
    transitions(claim.finish())
    stored = of(store, claim)
    record, events = JobRecord.decode(stored.fields), decode_events(stored.entries, GEOMETRY)
    assert (record.status, record.last_id, events[-1].kind) == (Status.SUCCEEDED, events[-1].id, EventKind.SUCCEEDED)
    transitions(note_stored(claim.keys, keep_seconds=60, expires_at=stored.expires_at))
    fields, entries = redis_has(store, claim)
    assert JobRecord.decode(fields) == record
    after = decode_events(entries, GEOMETRY)
    assert [(event.id, event.kind) for event in after] == [(event.id, event.kind) for event in events]


def test_entries_between_two_ids() -> None:
    """As XRANGE with an open beginning."""
    job = StoredJob(fields={}, entries=[(b"5-0", {}), (b"5-1", {}), (b"10-0", {})])
    ids = {
        ends: [key.decode() for key, _ in job.between(*ends)]
        for ends in [("-", "+"), ("5-0", "+"), ("-", "5-1"), ("9-9", "10-0"), ("10-0", "+")]
    }
    assert ids == {
        ("-", "+"): ["5-0", "5-1", "10-0"],
        ("5-0", "+"): ["5-1", "10-0"],
        ("-", "5-1"): ["5-0", "5-1"],
        ("9-9", "10-0"): ["10-0"],
        ("10-0", "+"): [],
    }


DAMAGED = {
    "empty": b"",
    "no gzip": b"no gzip",
    "no JSON": gzip.compress(b"no JSON"),
    "no fields": gzip.compress(b"{}"),
    "another version": gzip.compress(b'{"version": 2}'),
    "no record": gzip.compress(b'{"version": 1, "record": [], "events": []}'),
    "no event": gzip.compress(b'{"version": 1, "record": {}, "events": [["1-0", {"data": "x"}]]}'),
    "cut off": gzip.compress(b'{"version": 1, "record": {}, "events": []}')[:-9],
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_object_is_unreadable(content: bytes) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(UnreadableRecordError):
        StoredJob.from_bytes(content)


def test_a_job_that_goes_on_is_not_stored(store: redis.Redis) -> None:
    """It has slices to come."""
    with pytest.raises(UnreadableRecordError, match="has not ended"):
        of(store, a_job(store))
