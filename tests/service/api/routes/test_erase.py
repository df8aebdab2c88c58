"""`DELETE /jobs/{job}?erase=true`: nothing of a job is left in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from service.api_keys import KeyHash, sha256_of
from service.contract.redis_keys import Keys, owned_key
from service.contract.transitions import Claim, Outcome, Transitions
from service.settings import ServiceSettings
from tests.harness.drawing import acquire, an_entry
from tests.harness.sending import SECRET
from tests.harness.serving import serving

KEYS = tuple(KeyHash(name=name, sha256=sha256_of(name)) for name in ("studio", "other"))
HOOK = {"url": "http://127.0.0.1:9/", "events": ["started", "slice", "succeeded", "canceled"]}
SUBMITS = owned_key("studio", "submits")
"""The rate limit counts a job, by its id, for a minute."""


@pytest.fixture(scope="module")
def api(redis_url: str, models: Path) -> Iterator[str]:
    """The app for the model `toy`, with keys and webhooks to nobody."""
    options: dict[str, Any] = {"webhook_secret": SECRET, "webhook_hosts": ("127.0.0.1",), "keys": KEYS}
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy", **options)) as url:
        yield url


@pytest.fixture
def client(store: redis.Redis, api: str) -> Iterator[httpx.Client]:
    """A caller, and no jobs."""
    assert store.dbsize() == 0
    with httpx.Client(base_url=api, headers={"Authorization": "Bearer studio"}) as http:
        yield http


def submit(client: httpx.Client) -> str:
    """The id of a new job with all that a job can have."""
    body = {"label": "A", "num_images": 2, "webhook": HOOK, "metadata": {"secret": "words"}}
    answer = client.post("/generate", json=body, headers={"Idempotency-Key": "once"})
    assert answer.status_code == 202
    return str(answer.json()["id"])


def worker(store: redis.Redis, job: str) -> Callable[[str], Outcome]:
    """A worker that holds the job and has generated a slice; returns what leads the job on."""
    claim, transitions = Claim(keys=Keys(id=job, model="toy"), token="hand"), Transitions(store)
    calls = {
        "renew": claim.renew(lease_seconds=30),
        "append": claim.append(an_entry(1)),
        "finish": claim.finish(),
        "acquire": acquire(claim),
    }
    transitions(calls["acquire"])
    transitions(claim.append(an_entry(0)))
    return lambda name: transitions(calls[name]).outcome


def left_of(store: redis.Redis, *texts: str) -> list[bytes]:
    """The keys whose name or content has one of these texts in it; the rate limit's list is not among them."""
    keys: Any = store.keys("*")
    return [
        key
        for key in keys
        if key != SUBMITS.encode() and any(text.encode() in key + dumped(store, key) for text in texts)
    ]


def dumped(store: redis.Redis, key: bytes) -> bytes:
    """All that a key holds."""
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"hash": store.hgetall,
        b"zset": lambda name: store.zrange(name, 0, -1),
        b"stream": store.xrange,
        b"list": lambda name: store.lrange(name, 0, -1),
        b"set": store.smembers,
        b"string": store.get,
    }
    kind: Any = store.type(key)
    return repr(readers[kind](key)).encode() if kind in readers else b""


@pytest.mark.parametrize("state", ["queued", "running", "succeeded", "canceled"])
def test_nothing_of_an_erased_job_is_left(state: str, client: httpx.Client, store: redis.Redis) -> None:
    """In any status: record, slices, events, lists, ticket, idempotency key, deliveries. A repeat is no error."""
    job = submit(client)
    act = worker(store, job) if state in {"running", "succeeded"} else None
    if act and state == "succeeded":
        act("finish")
    if state == "canceled":
        client.delete(f"/jobs/{job}")
    assert left_of(store, job, "words", "once")
    for _ in range(2):
        assert client.delete(f"/jobs/{job}?erase=true").status_code == 204
    assert left_of(store, job, "words", "once") == []
    for path in ("", "/events", "/images/0"):
        assert client.get(f"/jobs/{job}{path}").status_code == 404
    assert client.get("/jobs").json()["jobs"] == []


def test_a_worker_of_an_erased_job_stops(client: httpx.Client, store: redis.Redis) -> None:
    """Whatever it writes is refused, and leaves nothing."""
    job = submit(client)
    act = worker(store, job)
    client.delete(f"/jobs/{job}?erase=true")
    assert {act(name) for name in ("renew", "append", "finish", "acquire")} == {Outcome.UNKNOWN}
    assert left_of(store, job) == []


def test_an_owner_erases_own_jobs_alone(client: httpx.Client, store: redis.Redis) -> None:
    """Another owner's does not exist, as everywhere, and stays."""
    job = submit(client)
    headers = {"Authorization": "Bearer other"}
    assert client.delete(f"/jobs/{job}?erase=true", headers=headers).status_code == 204
    assert client.get(f"/jobs/{job}").json()["status"] == "queued"
    assert client.delete(f"/jobs/{job}?erase=maybe").status_code == 422
    assert client.delete(f"/jobs/{job}?erase=false").json()["status"] == "canceled"
    assert store.exists(Keys(id=job, model="toy").record)


def test_an_idempotency_key_is_free_again(client: httpx.Client) -> None:
    """The same request makes another job."""
    job = submit(client)
    client.delete(f"/jobs/{job}?erase=true")
    assert submit(client) != job
