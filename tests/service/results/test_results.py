"""Jobs whose results leave Redis, over the real app, a folder and a real S3 server; the test itself plays the worker."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from service.contract.redis_keys import ENDED, UNSTORED, Keys, owned_key
from service.contract.transitions import Claim, Outcome, Transitions
from service.settings import ServiceSettings
from tests.harness.drawing import GEOMETRY, POISONED, acquire, an_entry
from tests.harness.object_stores import Gate
from tests.harness.serving import serving

STEPS = len(GEOMETRY.steps)
WAIT_SECONDS = 20
"""An outage may have let the writer's pause grow to 5 s."""


OWN = os.environ.get("SPN_TEST_RESULTS")
"""A bucket to test with too, whose credentials are in the environment."""


@pytest.fixture(params=["folder", "bucket", *filter(None, [OWN])])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Both kinds of object stores, and the bucket of SPN_TEST_RESULTS if there is one."""
    if request.param == "folder":
        return str(tmp_path / "results")
    return str(request.getfixturevalue("bucket")) if request.param == "bucket" else str(request.param)


@contextmanager
def calling(redis_url: str, models: Path, location: str, **options: Any) -> Iterator[httpx.Client]:  # noqa: ANN401 - of settings
    """A caller of an app with an object store."""
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy", results=location, **options)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture
def client(store: redis.Redis, redis_url: str, models: Path, location: str) -> Iterator[httpx.Client]:
    """A caller, and no jobs."""
    assert store.dbsize() == 0
    with calling(redis_url, models, location) as http:
        yield http


def until(true: Callable[[], object]) -> None:
    """Return once it is."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def submit(client: httpx.Client, *, num_images: int = 1) -> str:
    """The id of an accepted job; the same for the same number of images."""
    body = {"label": "A", "seed": 7, "num_images": num_images, "metadata": {"order": "\u00fc17"}}
    response = client.post("/generate", json=body, headers={"Idempotency-Key": f"of {num_images}"})
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def drawn(
    client: httpx.Client, store: redis.Redis, *, end: str = "finish", slices: int = STEPS, num_images: int = 1
) -> str:
    """The id of a job that a worker has led to its end."""
    job, transitions = submit(client, num_images=num_images), Transitions(store)
    claim = Claim(keys=Keys(id=job, model="toy"), token="hand")
    transitions(acquire(claim))
    for step in range(slices):
        transitions(claim.append(*(an_entry(step, image=image, seed=image) for image in range(num_images))))
    calls = {"finish": claim.finish, "fail": lambda: claim.fail(POISONED), "cancel": claim.cancel}
    assert transitions(calls[end]()).outcome is (Outcome.COMPLETE if end == "finish" else Outcome.DONE)
    return job


def left(store: redis.Redis) -> set[bytes]:
    """The keys but for those that are there before any job: RQ's, and the owners by turn."""
    keys: Any = store.keys("*")
    return {key for key in keys if not key.startswith(b"rq:")} - {b"spn:owners:toy"}


def settled(store: redis.Redis) -> bool:
    """Whether the object store is as Redis."""
    return store.zcard(UNSTORED) == 0


def leave_redis(store: redis.Redis, job: str) -> None:
    """Let Redis forget the job, as it does after SPN_RESULTS_REDIS_SECONDS."""
    keys = Keys(id=job, model="toy")
    until(lambda: settled(store))
    assert 0 < store.pttl(keys.record) <= 300_000
    assert 0 < store.pttl(keys.stream) <= 300_000
    assert store.delete(keys.record, keys.stream) == 2


def answers(client: httpx.Client, job: str) -> dict[str, Any]:
    """All that can be read of a job of two images."""
    paths = [
        "",
        "/images/0",
        "/images/1?format=webp&scale=2",
        "/images/0?slices=3",
        "/events",
        "/events?inline=1",
    ]
    found = {path: client.get(f"/jobs/{job}{path}") for path in paths}
    assert {each.status_code for each in found.values()} == {200}
    return {path: (each.content, each.headers.get("etag")) for path, each in found.items()}


def test_a_job_reads_the_same_after_it_has_left_redis(client: httpx.Client, store: redis.Redis) -> None:
    """Record, images, slices, events with their ids, lists, variations and replays."""
    job = drawn(client, store, num_images=2)
    until(lambda: client.get(f"/jobs/{job}").json()["status"] == "succeeded")
    before, listed = answers(client, job), client.get("/jobs").json()
    leave_redis(store, job)
    assert answers(client, job) == before
    assert client.get("/jobs").json() == listed
    assert client.get("/jobs?status=succeeded").json() == listed
    assert client.get("/jobs?status=failed").json()["jobs"] == []
    final_id = [line for line in before["/events"][0].decode().splitlines() if line.startswith("id: ")][-1][4:]
    assert client.get(f"/jobs/{job}/events", headers={"Last-Event-ID": final_id}).status_code == 204
    rest = client.get(f"/jobs/{job}/events", headers={"Last-Event-ID": f"{int(final_id.partition('-')[0]) - 1}-9"}).text
    assert rest.count("event: succeeded") == rest.count("event: ") == 1
    variation = client.post("/generate", json={"start": {"job": job, "slices": 2}})
    assert (variation.status_code, variation.json()["start"]["slices"]) == (202, 2)
    assert submit(client, num_images=2) == job


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_failed_and_canceled_jobs_leave_redis_too(end: str, client: httpx.Client, store: redis.Redis) -> None:
    """With the slices that they have."""
    job = drawn(client, store, end=end, slices=5)
    before = [client.get(f"/jobs/{job}{path}").content for path in ("", "/images/0", "/events")]
    leave_redis(store, job)
    assert [client.get(f"/jobs/{job}{path}").content for path in ("", "/images/0", "/events")] == before


def test_nothing_of_an_erased_job_is_left(client: httpx.Client, store: redis.Redis) -> None:
    """Neither where Redis still has it, nor where the object store alone does."""
    for gone in (False, True):
        job = drawn(client, store)
        if gone:
            leave_redis(store, job)
        until(lambda: settled(store))
        assert client.delete(f"/jobs/{job}?erase=true").status_code == 204
        assert client.get(f"/jobs/{job}").status_code == client.get(f"/jobs/{job}/images/0").status_code == 404
        until(lambda: settled(store))
        assert client.get(f"/jobs/{job}").status_code == 404
        assert client.get("/jobs").json()["jobs"] == []
        assert left(store) == set()


def test_after_its_retention_nothing_is_left(store: redis.Redis, redis_url: str, models: Path, location: str) -> None:
    """Keys of Redis and objects."""
    with calling(redis_url, models, location, retention_seconds=1, reaper_seconds=0.1) as client:
        job = drawn(client, store)
        until(lambda: client.get(f"/jobs/{job}").status_code == 404)
        until(lambda: settled(store))
        assert client.get("/jobs").json()["jobs"] == []
        assert store.exists(ENDED, owned_key("", "jobs")) == 0
        assert left(store) == set()
    if not location.startswith("s3"):
        assert [each for each in Path(location).rglob("*") if each.is_file()] == []


def figure(client: httpx.Client, name: str) -> float:
    """A metric of one sample, 0 before there is one."""
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_a_job_succeeds_once_the_store_is_back(
    store: redis.Redis, redis_url: str, models: Path, bucket: str, gate: Gate
) -> None:
    """Until then it is complete: its images can be read, it cannot be canceled, no deadline ends it, and it is counted."""
    with calling(redis_url, models, bucket, deadline_seconds=1, reaper_seconds=0.1) as client:
        gate.shut()
        job = drawn(client, store)
        until(lambda: figure(client, 'spn_results_seconds_count{operation="write",outcome="failed"}') >= 2)
        assert figure(client, "spn_results_unstored ") == 1
        assert client.delete(f"/jobs/{job}").status_code == 202
        time.sleep(1)
        running = client.get(f"/jobs/{job}").json()
        assert (running["status"], running["finished_at"], running["images"][0]["final"]) == ("running", None, True)
        image = client.get(f"/jobs/{job}/images/0").content
        gate.open = True
        until(lambda: client.get(f"/jobs/{job}").json()["status"] == "succeeded")
        leave_redis(store, job)
        assert client.get(f"/jobs/{job}/images/0").content == image
        assert figure(client, "spn_results_unstored ") == 0


def test_old_jobs_are_unavailable_while_the_store_is(
    store: redis.Redis, redis_url: str, models: Path, bucket: str, gate: Gate
) -> None:
    """503 with Retry-After; an event stream asks for another connection; an erase takes effect when the store is back."""
    with calling(redis_url, models, bucket) as client:
        job = drawn(client, store)
        leave_redis(store, job)
        in_redis = drawn(client, store, num_images=2)
        until(lambda: settled(store))
        gate.shut()
        for path in ("", "/images/0"):
            refused = client.get(f"/jobs/{job}{path}")
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:spn:unavailable")
            assert refused.headers["Retry-After"] == "2"
        assert client.get("/jobs").status_code == 503
        assert client.get(f"/jobs/{job}/events").text == "retry: 2000\n\n"
        assert client.delete(f"/jobs/{job}?erase=true").status_code == 503
        assert client.delete(f"/jobs/{in_redis}?erase=true").status_code == 204
        assert client.get(f"/jobs/{in_redis}").status_code == 404
        gate.open = True
        assert client.get(f"/jobs/{in_redis}").status_code == 404
        until(lambda: settled(store))
        assert client.get(f"/jobs/{in_redis}").status_code == 404
        assert client.get(f"/jobs/{job}").status_code == 200
