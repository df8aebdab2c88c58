"""Records and streams as earlier releases wrote them stay readable, and workers go on with their jobs."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import redis

from service.contract.record import JobRecord
from service.contract.redis_keys import Keys
from service.contract.stream import Event, replay
from service.contract.transitions import Claim, Outcome, Transitions
from tests.harness.drawing import acquire, an_entry, record_of

RELEASES = sorted((Path(__file__).parent / "records").glob("*.json"))
JOBS = [(release.stem, job) for release in RELEASES for job in json.loads(release.read_text())]


def restored(store: redis.Redis, job: dict[str, Any]) -> Keys:
    """Put a job back into Redis, byte for byte."""
    request = json.loads(job["record"]["request"])
    keys = Keys(id=request["id"], model=request["model"])
    store.hset(keys.record, mapping=job["record"])
    for entry, fields in job["stream"]:
        body = {name: b64decode(value) if name == "data" else value for name, value in fields.items()}
        store.xadd(keys.stream, body, id=entry)
    return keys


@pytest.mark.parametrize(("release", "job"), JOBS, ids=lambda each: each if isinstance(each, str) else each["name"])
def test_a_job_of_an_earlier_release_is_read_as_it_was(release: str, job: dict[str, Any], store: redis.Redis) -> None:
    """Its record, its events, and the images that follow from them agree."""
    keys = restored(store, job)
    record = JobRecord.decode(store.hgetall(keys.record))
    events = [Event.decode(entry, record.request.geometry) for entry in store.xrange(keys.stream) or []]
    images = replay(record.request, events)
    assert (record.status, record.last_id) == (job["record"]["status"], job["stream"][-1][0]), release
    assert tuple(each.done for each in images.progress) == record.done
    assert images.scores == record.scores


@pytest.mark.parametrize(("release", "job"), JOBS, ids=lambda each: each if isinstance(each, str) else each["name"])
def test_a_job_of_an_earlier_release_is_finished(release: str, job: dict[str, Any], store: redis.Redis) -> None:
    """By a worker of this one, once the old worker's lease has run out."""
    keys = restored(store, job)
    transitions, claim = Transitions(store), Claim(keys=keys, token="new")
    if record_of(store, claim).status.final:
        assert transitions(acquire(claim)).outcome is Outcome.ENDED, release
        return
    store.hset(keys.record, mapping={"lease_until": 1, "deadline": 0})  # both were long ago
    canceling = "canceling" in job["record"]
    assert transitions(acquire(claim)).outcome is (Outcome.ENDED if canceling else Outcome.DONE), release
    if not canceling:
        done = record_of(store, claim).done[0]
        assert transitions(claim.append(an_entry(done))).outcome is Outcome.DONE
        assert transitions(claim.finish()).outcome is Outcome.DONE
    assert record_of(store, claim).status.final
