"""A real worker process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from service.contract.redis_keys import workers_key

START_SECONDS = 60


@contextmanager
def working(redis_url: str, models: Path, model: str, *, module: str = "worker.main") -> Iterator[None]:
    """A worker draws jobs of `model`; Redis is empty before it starts."""
    settings = {"REDIS_URL": redis_url, "MODELS": str(models), "MODEL": model, "THREADS": "1", "COMPILE": "0"}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | {f"SPN_{name}": value for name, value in settings.items()}
    with redis.Redis.from_url(redis_url) as store:
        store.flushall()
        worker = subprocess.Popen([sys.executable, "-m", module], env=environment)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not store.zcard(workers_key(model)):
                assert worker.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            worker.kill()
            worker.wait()
