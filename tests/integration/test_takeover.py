"""The whole system over real HTTP, real Redis and real worker processes, one of which dies."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from PIL import Image

from service.settings import ServiceSettings
from tests.harness.launcher import WorkerProcess, eager, workers
from tests.harness.serving import serving

MODEL = "slow"
WITHIN_SECONDS = 20


@contextmanager
def two_workers(redis_url: str, models: Path) -> Iterator[dict[int, WorkerProcess]]:
    """Two worker processes by process id, announced and ready."""
    quick = {"LEASE_SECONDS": "2", "HEARTBEAT_SECONDS": "0.4", "CAPACITY": "4"}
    with workers(eager(redis_url, models, MODEL, **quick), count=2) as processes:
        yield {process.pid: process for process in processes}


@pytest.fixture
def client(store: redis.Redis, redis_url: str, models: Path) -> Iterator[httpx.Client]:
    """A caller of the real API."""
    assert store.dbsize() == 0
    settings = ServiceSettings(redis_url=redis_url, models=models, model=MODEL, reaper_seconds=0.2)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as http:
        yield http


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Returns once it is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def busy_worker(store: redis.Redis) -> int:
    """The process id of the worker that RQ knows to be at work."""
    workers = [store.hmget(key, "state", "pid") for key in store.smembers("rq:workers")]
    (pid,) = (int(pid) for state, pid in workers if state == b"busy" and pid)
    return pid


def submit(client: httpx.Client) -> str:
    """Two pictures, always the same."""
    response = client.post(
        "/generate", json={"seed": 11, "num_images": 2, "controls": [{"label": "A"}, {"hue": "red"}]}
    )
    assert response.status_code == 202
    return str(response.json()["urls"]["self"])


def watched(client: httpx.Client, job: str) -> list[dict[str, Any]]:
    """All that polling sees until the job has ended."""
    seen: list[dict[str, Any]] = []
    until(lambda: seen.append(client.get(job).json()) or seen[-1]["finished_at"] is not None)  # type: ignore[func-returns-value]
    return seen


def pictures(client: httpx.Client, job: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The pixels of all pictures of a job."""
    files = (client.get(image["url"]).content for image in job["images"])
    return np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])


def drawn(client: httpx.Client, job: str) -> int:
    """Slices so far."""
    return int(client.get(job).json()["progress"]["slices_done"])


def test_a_killed_workers_job_is_taken_over_and_ends_the_same(
    client: httpx.Client, store: redis.Redis, redis_url: str, models: Path
) -> None:
    """A kill -9 in the middle: progress never goes back, each slice is told once, the pixels are those of a calm run."""
    with two_workers(redis_url, models):
        job = submit(client)
        until(lambda: drawn(client, job) >= 6)
        os.kill(busy_worker(store), signal.SIGKILL)
        killed = time.monotonic()
        seen = watched(client, job)
        assert time.monotonic() - killed < WITHIN_SECONDS
        calm = watched(client, submit(client))
    progress = [poll["progress"]["slices_done"] for poll in seen]
    told = client.get(f"{job}/events").text
    assert progress[0] < progress[-1], "it was killed too late to show anything"
    assert progress == sorted(progress)
    assert (seen[-1]["status"], seen[-1]["attempts"]) == ("succeeded", 2)
    assert told.count("event: slice") == seen[-1]["progress"]["slices_total"]
    assert told.count("event: succeeded") == 1
    assert "event: restarted" not in told
    np.testing.assert_array_equal(pictures(client, seen[-1]), pictures(client, calm[-1]))


def test_a_stopped_worker_hands_its_job_back(
    client: httpx.Client, store: redis.Redis, redis_url: str, models: Path
) -> None:
    """SIGTERM in the middle: exit 0 after the slice, no attempt spent, another worker ends it."""
    with two_workers(redis_url, models) as running:
        job = submit(client)
        until(lambda: drawn(client, job) >= 2)
        stopped = running[busy_worker(store)]
        stopped.send(signal.SIGTERM)
        assert stopped.exit_code(within_seconds=60) == 0
        ended = watched(client, job)[-1]
    assert (ended["status"], ended["attempts"]) == ("succeeded", 1)
    assert client.get(f"{job}/events").text.count("event: slice") == ended["progress"]["slices_total"]
