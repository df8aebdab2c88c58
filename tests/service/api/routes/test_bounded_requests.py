"""Requests that once harmed others, or never ended: against the real app and a real Redis."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from service.api.requests import MAX_METADATA_DEPTH, MAX_METADATA_VALUES
from service.contract.redis_keys import Keys
from service.jobs.live_events import KEEPALIVE_SECONDS
from service.settings import ServiceSettings
from tests.harness.launcher import RedisServer
from tests.harness.serving import serving


@pytest.fixture(scope="module")
def api(redis_url: str, models: Path) -> Iterator[str]:
    """The app for the model `toy`."""
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy")) as url:
        yield url


@pytest.fixture
def client(store: redis.Redis, api: str) -> Iterator[httpx.Client]:
    """A caller, and no jobs."""
    assert store.dbsize() == 0
    with httpx.Client(base_url=api, timeout=60) as http:
        yield http


def nested(levels: int, kind: str) -> str:
    """Metadata of so many levels, as JSON text."""
    opening, closing = {"objects": ('{"a":', "}"), "lists": ("[", "]")}[kind]
    return '{"metadata":{"a":' + opening * (levels - 1) + "1" + closing * (levels - 1) + "}}"


def post(client: httpx.Client, body: str) -> httpx.Response:
    """A submit of JSON text."""
    return client.post("/generate", content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("kind", ["objects", "lists"])
@pytest.mark.parametrize("levels", [MAX_METADATA_DEPTH + 1, 50, 200, 254, 300, 900])
def test_metadata_that_is_nested_too_deeply_is_refused(client: httpx.Client, levels: int, kind: str) -> None:
    """It once made every list of jobs a 500 and ended the reaper."""
    response = post(client, nested(levels, kind))
    assert response.status_code == 422
    assert f"at most {MAX_METADATA_DEPTH} levels" in response.json()["detail"]
    assert client.get("/jobs").json()["jobs"] == []


@pytest.mark.parametrize("kind", ["objects", "lists"])
def test_metadata_at_the_limit_comes_back(client: httpx.Client, kind: str) -> None:
    """In the job and in lists."""
    body = nested(MAX_METADATA_DEPTH, kind)
    job = post(client, body)
    assert job.status_code == 202, job.text
    expected: Any = json.loads(body)["metadata"]
    assert job.json()["metadata"] == expected
    assert client.get("/jobs").json()["jobs"][0]["metadata"] == expected


@pytest.mark.parametrize("metadata", [{str(n): n for n in range(MAX_METADATA_VALUES + 1)}, {"a": [0] * 600}])
def test_metadata_of_too_many_values_is_refused(client: httpx.Client, metadata: dict[str, Any]) -> None:
    """Whatever it is made of."""
    response = client.post("/generate", json={"metadata": metadata})
    assert response.status_code == 422
    assert f"at most {MAX_METADATA_VALUES} keys and values" in response.json()["detail"]


@pytest.mark.parametrize("suffix", ["", "/events", "/images/0"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_the_name_of_another_key_is_an_unknown_job(client: httpx.Client, suffix: str, method: str) -> None:
    """It was a 503 of Redis' WRONGTYPE, to anybody."""
    if method == "DELETE" and suffix:
        return
    job = client.post("/generate", json={}).json()["id"]
    for name in (f"{job}:stream", "x:stream", "*"):
        response = client.request(method, f"/jobs/{name}{suffix}")
        assert (response.status_code, response.json()["type"]) == (404, "urn:spn:unknown-job")


def test_a_record_of_a_newer_release_is_a_503_alone_and_left_out_of_lists(
    client: httpx.Client, store: redis.Redis
) -> None:
    """While an upgrade is under way another process can read it."""
    newer, known = (client.post("/generate", json={}).json()["id"] for _ in range(2))
    store.hset(Keys(id=newer, model="toy").record, "status", "paused")
    response = client.get(f"/jobs/{newer}")
    assert (response.status_code, response.json()["type"]) == (503, "urn:spn:job-unreadable")
    assert [each["id"] for each in client.get("/jobs").json()["jobs"]] == [known]


def test_an_unknown_webhook_event_and_an_unknown_stream_entry_are_skipped(
    client: httpx.Client, store: redis.Redis
) -> None:
    """A newer release knows more of them; fields that this one does not know are ignored."""
    job = client.post("/generate", json={}).json()["id"]
    keys = Keys(id=job, model="toy")
    request = json.loads(store.hget(keys.record, "request") or "")
    request |= {"webhook": {"url": "https://example.com", "events": ["paused", "failed"]}, "mood": "new"}
    store.hset(keys.record, mapping={"request": json.dumps(request), "mood": "new"})
    store.xadd(keys.stream, {"event": "paused", "until": "later"})
    assert client.get(f"/jobs/{job}").json()["status"] == "queued"
    assert client.delete(f"/jobs/{job}").json()["status"] == "canceled"
    text = client.get(f"/jobs/{job}/events").text
    assert "paused" not in text
    assert text.count("event: ") == 2


def lines_of(client: httpx.Client, path: str, begun: threading.Event, **headers: str) -> list[str]:
    """All lines of a stream, once it has ended by itself."""
    found = list[str]()
    with client.stream("GET", path, headers=headers) as response:
        for line in response.iter_lines():
            found.append(line)
            begun.set()
    return found


def test_the_stream_of_a_job_that_vanished_ends(client: httpx.Client, store: redis.Redis) -> None:
    """Redis was emptied under it: nothing will ever come."""
    job, begun, lines = client.post("/generate", json={}).json()["id"], threading.Event(), list[str]()
    reader = threading.Thread(target=lambda: lines.extend(lines_of(client, f"/jobs/{job}/events", begun)))
    reader.start()
    assert begun.wait(30)
    store.flushall()
    reader.join(KEEPALIVE_SECONDS / 2)
    assert not reader.is_alive()
    assert "event: status" in lines


def test_waits_for_a_job_that_vanished_end(client: httpx.Client, store: redis.Redis) -> None:
    """A long poll and a submit that waits are a 404 soon; waits for other jobs go on."""
    waiting = {"Prefer": "wait=60"}
    with ThreadPoolExecutor() as pool:
        submit = pool.submit(client.post, "/generate", json={}, headers=waiting)
        while not store.keys("spn:job:*:stream"):
            time.sleep(0.01)
        job = client.post("/generate", json={}).json()["id"]
        other = client.post("/generate", json={}).json()["id"]
        poll = pool.submit(client.get, f"/jobs/{job}?wait=60")
        longer = pool.submit(client.get, f"/jobs/{other}?wait=6")
        time.sleep(0.5)
        kept = f"spn:job:{other}*"
        for key in set(store.keys("spn:job:*")) - set(store.keys(kept)):
            store.delete(key)
        assert [each.result(20).status_code for each in (submit, poll)] == [404, 404]
        assert not longer.done()
        assert longer.result(20).status_code == 200


def test_a_last_event_id_of_the_future_is_the_last_one_there_is(client: httpx.Client) -> None:
    """The stream goes on from now to its end; of a job that has ended nothing follows."""
    job, begun, lines = client.post("/generate", json={}).json()["id"], threading.Event(), list[str]()
    path, future = f"/jobs/{job}/events", {"Last-Event-ID": "9999999999999-0"}
    reader = threading.Thread(target=lambda: lines.extend(lines_of(client, path, begun, **future)))
    reader.start()
    reader.join(1)
    assert client.delete(f"/jobs/{job}").status_code == 200
    reader.join(30)
    assert not reader.is_alive()
    assert [line for line in lines if line.startswith("event: ")] == ["event: canceled"]
    assert client.get(path, headers=future).status_code == 204


def test_a_redis_that_takes_no_writes_is_not_ready(tmp_path: Path, models: Path) -> None:
    """A replica refuses submits, so no traffic should come; ready again when it is the primary."""
    with RedisServer(tmp_path) as server, redis.Redis.from_url(server.url) as own:
        settings = ServiceSettings(redis_url=server.url, models=models, model="toy")
        with serving(settings) as url, httpx.Client(base_url=url, timeout=60) as client:
            assert client.get("/readyz").json()["tasks"] == {"event_reader": "running", "reaper": "running"}
            assert own.dbsize() == 0
            own.replicaof("127.0.0.1", "1")
            assert client.get("/readyz").status_code == 503
            own.replicaof("NO", "ONE")
            assert client.get("/readyz").status_code == 200
