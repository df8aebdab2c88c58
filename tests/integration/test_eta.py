"""The estimate and the figures of a real worker, over real HTTP."""

from __future__ import annotations

import json
import signal
import statistics
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from service.contract.redis_keys import queued_key, running_key
from service.local.processes import free_port
from service.settings import ServiceSettings
from tests.harness.launcher import WorkerProcess, eager
from tests.harness.serving import serving
from tests.integration.test_takeover import until

MODEL, CAPACITY = "toy", 4
SIZES = [1, 4, 2, 8, 1, 3, 1, 5, 2, 1] * 5
BOUND, TRIES = 0.25, 3


@contextmanager
def a_worker(redis_url: str, models: Path, log: Path) -> Iterator[int]:
    """One worker process that writes its log as JSON to `log`; the port of its metrics."""
    port = free_port()
    own = {"CAPACITY": str(CAPACITY), "METRICS_PORT": str(port), "LOG_FORMAT": "json"}
    with WorkerProcess(eager(redis_url, models, MODEL, **own), log=log) as worker:
        yield port
        worker.send(signal.SIGTERM)
        worker.exit_code(within_seconds=60)


@pytest.fixture
def client(store: redis.Redis, redis_url: str, models: Path) -> Iterator[httpx.Client]:
    """A caller of the real API."""
    assert store.dbsize() == 0
    settings = ServiceSettings(redis_url=redis_url, models=models, model=MODEL)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=90) as http:
        yield http


def ended(client: httpx.Client, store: redis.Redis, jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The jobs, once no job is left. Redis is asked rather than the API, which would take the worker's processor."""
    until(lambda: not store.zcard(queued_key(MODEL)) and not store.zcard(running_key(MODEL)), seconds=300)
    return [client.get(job["urls"]["self"]).json() for job in jobs]


def took(job: dict[str, Any]) -> float:
    """Seconds from its creation to its end."""
    return (datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["created_at"])).total_seconds()


def test_the_worker_tells_how_long_jobs_will_take(
    client: httpx.Client, store: redis.Redis, redis_url: str, models: Path, tmp_path: Path
) -> None:
    """Already the first one; and once one has been drawn, fifty are told at their submission what they take, to within a
    quarter in the median. No estimate foresees what else the machine will do, so of three fifties one has to hold.

    The worker's metrics have counted all of them and nothing of its rehearsal, and its log names them, one JSON object a line.
    """
    log = tmp_path / "worker.log"
    with a_worker(redis_url, models, log) as port:
        first = client.post("/generate", json={"num_images": 4, "seed": 1}).json()
        assert first["eta_seconds"] > 0
        ended(client, store, [first])
        jobs, medians = [first], list[float]()
        while not medians or (medians[-1] >= BOUND and len(medians) < TRIES):
            fifty = [client.post("/generate", json={"num_images": number}).json() for number in SIZES]
            ends = ended(client, store, fifty)
            errors = (abs(job["eta_seconds"] / took(end) - 1) for job, end in zip(fifty, ends, strict=True))
            medians.append(statistics.median(errors))
            jobs += fifty
            assert {end["eta_seconds"] for end in ends} == {None}
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            figures = response.read().decode()
    assert medians[-1] < BOUND, medians
    assert f'spn_jobs_ended_total{{model="toy",status="succeeded"}} {len(jobs):.1f}' in figures
    assert (
        f'spn_batch_occupancy_sum{{model="toy",stage="base"}} {(4 + sum(SIZES) * len(medians)) / CAPACITY}' in figures
    )
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {job["id"] for job in jobs} <= {line.get("job") for line in lines}
