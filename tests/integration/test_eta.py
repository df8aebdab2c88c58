"""The estimate and the figures of a real worker, over real HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from service.contract import pace_key, workers_key
from service.local import free_port
from service.settings import ServiceSettings
from tests.integration.test_takeover import until
from tests.serving import serving

MODEL = "slow"


@contextmanager
def a_worker(redis_url: str, models: Path, store: redis.Redis, log: Path) -> Iterator[int]:
    """One worker process that writes its log as JSON to `log`; the port of its metrics."""
    port = free_port()
    settings = {"REDIS_URL": redis_url, "MODELS": str(models), "MODEL": MODEL, "THREADS": "1", "CAPACITY": "4"}
    settings |= {"COMPILE": "0", "METRICS_PORT": str(port), "LOG_FORMAT": "json"}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | {f"SPN_{name}": value for name, value in settings.items()}
    with log.open("w") as out:
        worker = subprocess.Popen([sys.executable, "-m", "worker.main"], env=environment, stderr=out)
        try:
            until(lambda: store.zcard(workers_key(MODEL)) == 1)
            yield port
        finally:
            worker.terminate()
            worker.wait(20)


@pytest.fixture
def client(store: redis.Redis, redis_url: str, models: Path) -> Iterator[httpx.Client]:
    """A caller of the real API."""
    assert store.dbsize() == 0
    settings = ServiceSettings(redis_url=redis_url, models=models, model=MODEL)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=90) as http:
        yield http


def test_the_worker_tells_how_long_a_job_will_take(
    client: httpx.Client, store: redis.Redis, redis_url: str, models: Path, tmp_path: Path
) -> None:
    """Nothing before the first; then, asked at the start of the next, within a factor of three of what it took.

    The worker's metrics have counted both, and its log names them, one JSON object a line.
    """
    log = tmp_path / "worker.log"
    with a_worker(redis_url, models, store, log) as port:
        first = client.post("/generate", json={"num_images": 4, "seed": 1}).json()
        assert first["eta_seconds"] is None
        until(lambda: client.get(first["urls"]["self"]).json()["finished_at"] is not None)
        until(lambda: store.hexists(pace_key(MODEL), "depth:round"))
        began = time.monotonic()
        second = client.post("/generate", json={"num_images": 4, "seed": 2}).json()
        told = second["eta_seconds"]
        until(lambda: client.get(second["urls"]["self"]).json()["finished_at"] is not None)
        took = time.monotonic() - began
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            figures = response.read().decode()
    assert took / 3 < told < took * 3
    assert client.get(second["urls"]["self"]).json()["eta_seconds"] is None
    assert 'spn_jobs_ended_total{model="slow",status="succeeded"} 2.0' in figures
    assert 'spn_accepted_pixels_per_pass_count{model="slow",stage="depth"} 32.0' in figures
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {first["id"], second["id"]} <= {line.get("job") for line in lines}
