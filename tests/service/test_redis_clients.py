"""Redis clients of the API against a Redis that accepts connections and never answers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest
import redis

from service.redis_clients import async_client, blocking_client

SECONDS = 0.3
MOST_SECONDS = 6 * SECONDS
"""One wait, with room for a slow machine. redis-py's defaults took 45 s at 5 s each."""


@pytest.fixture
def silent_url() -> Iterator[str]:
    """Where connections are half open."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_a_silent_redis_costs_a_blocking_call_one_timeout(silent_url: str) -> None:
    """RQ's calls are these."""
    begun = time.monotonic()
    with blocking_client(silent_url, seconds=SECONDS) as client, pytest.raises(redis.TimeoutError):
        client.ping()
    assert time.monotonic() - begun < MOST_SECONDS


def test_a_silent_redis_costs_a_request_one_timeout(silent_url: str) -> None:
    """Then the answer is 503."""

    async def ping() -> None:
        async with async_client(silent_url, seconds=SECONDS) as client:
            await client.ping()

    begun = time.monotonic()
    with pytest.raises(redis.TimeoutError):
        asyncio.run(ping())
    assert time.monotonic() - begun < MOST_SECONDS
