"""Real parts for all tests: a Redis of this session's own, and a toy model on disk."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.local.processes import free_port, redis_binary
from tests.harness.toy import save_toy_model

START_SECONDS = 10


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis on a free port."""
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--loglevel", "warning"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([redis_binary(), *options], stdout=log, stderr=log)
    try:
        wait_for_redis(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def wait_for_redis(port: int) -> None:
    """Returns once it answers."""
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis(port=port) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the session's Redis, emptied."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder: `toy` is quick, `slow` has 32 slices and can be killed in the middle."""
    folder = tmp_path_factory.mktemp("models")
    save_toy_model(folder, "toy", size=8)
    save_toy_model(folder, "slow", size=16)
    return folder
