"""The service process as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import enumerate as threads

import httpx
import redis

from service.settings import ServiceSettings
from tests.harness.serving import serving


def test_the_service_has_no_torch() -> None:
    """An API host needs neither torch nor any part of models/ that stands on it."""
    code = "import sys, service.main; print([m for m in sys.modules if m == 'torch' or m.startswith('worker')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_an_api_process_runs_on_uvloop_and_hiredis() -> None:
    """Both are chosen because they are installed. Without them a poll cost half as much again."""
    code = "import uvicorn, redis.connection as r; print(uvicorn.Config('').get_loop_factory().__module__, r.DefaultParser)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "uvloop" in ran.stdout
    assert "HiredisParser" in ran.stdout


def test_no_request_takes_a_thread(store: redis.Redis, redis_url: str, models: Path) -> None:
    """FastAPI runs a dependency that is not async in a thread; each one costs as much as a read from Redis."""
    store.ping()
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy")
    with serving(settings) as url, httpx.Client(base_url=url) as http:
        before = set(threads())
        job = http.post("/generate", json={}).json()["urls"]["self"]
        for path in (job, f"{job}/images/0", f"{job}/export.zip", "/jobs", "/models"):
            assert http.get(path).status_code < 500
        assert not [each for each in threads() if each not in before]
