"""The API while Redis is away, or full: it says so, keeps running, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from service.contract.redis_keys import Keys
from service.settings import ServiceSettings
from tests.harness.launcher import RedisServer
from tests.harness.serving import serving

UNAVAILABLE = (503, "2", "application/problem+json", "urn:spn:unavailable")


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis to be killed."""
    with RedisServer(tmp_path, durable=True) as server:
        yield server


@pytest.fixture
def client(mortal: RedisServer, models: Path) -> Iterator[httpx.Client]:
    """A caller of an API on it."""
    settings = ServiceSettings(redis_url=mortal.url, models=models, model="toy", reaper_seconds=0.1)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as http:
        yield http


def told(response: httpx.Response) -> tuple[int, str, str, str]:
    """What a refused caller can go by."""
    headers = response.headers
    return response.status_code, headers["Retry-After"], headers["Content-Type"], response.json()["type"]


def test_without_redis_every_request_says_503_and_all_goes_on_when_it_is_back(
    client: httpx.Client, mortal: RedisServer
) -> None:
    """The same API process, the job as it was acknowledged, its ticket in the queue."""
    job = client.post("/generate", json={"seed": 1}).json()
    mortal.kill()
    own = job["urls"]["self"]
    answers = [client.get(path) for path in (own, f"{own}?wait=5", "/jobs", "/readyz")]
    answers += [client.post("/generate", json={}), client.delete(own)]
    assert [told(answer) for answer in answers] == [UNAVAILABLE] * len(answers)
    assert client.get("/healthz").status_code == 200
    mortal.start()
    assert client.get(own).json() == job
    assert client.post("/generate", json={}).status_code == 202


def test_without_redis_a_stream_of_events_is_empty_and_asks_for_another_connection(
    client: httpx.Client, mortal: RedisServer
) -> None:
    """After an error response an EventSource never connects again."""
    events = client.post("/generate", json={"seed": 1}).json()["urls"]["events"]
    mortal.kill()
    answer = client.get(events)
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/event-stream")
    assert answer.text == "retry: 2000\n\n"


def test_a_full_redis_refuses_submits_and_still_tells_of_jobs(client: httpx.Client, mortal: RedisServer) -> None:
    """No half of a job is left; once there is room submits are taken again."""
    job = client.post("/generate", json={"seed": 1}).json()
    with redis.Redis.from_url(mortal.url) as store:
        store.config_set("maxmemory", 1)
        keys = set(store.keys(Keys(id="*", model="").record))
        assert told(client.post("/generate", json={})) == UNAVAILABLE
        assert told(client.delete(job["urls"]["self"])) == UNAVAILABLE
        assert client.get(job["urls"]["self"]).json() == job
        assert set(store.keys(Keys(id="*", model="").record)) == keys
        store.config_set("maxmemory", 0)
    assert client.post("/generate", json={}).status_code == 202
