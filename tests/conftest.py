"""Fixtures of all tests: a real Redis for this session, and toy models on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import torch

from tests.harness.launcher import RedisServer
from tests.harness.toy import save_toy_model

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before anything imports triton: kernels run in its interpreter


LONG = ("browser", "docs", "integration")
"""Folders whose files take longest. They run first, so that no process has a long one left when the others end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of LONG before the others; pytest-randomly has shuffled both."""
    items.sort(key=lambda item: item.path.relative_to(Path(__file__).parent).parts[0] not in LONG)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Keep torch to one thread: with two, toy networks took 60 times as long on two cores at a load of 20."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a real Redis on a free port."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    """Return a client of the session's Redis, after emptying it."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a models folder. `toy` is quick; `slow` has 32 slices, so that a worker can be killed in the middle."""
    folder = tmp_path_factory.mktemp("models")
    save_toy_model(folder, "toy", size=8)
    save_toy_model(folder, "slow", size=16)
    return folder
