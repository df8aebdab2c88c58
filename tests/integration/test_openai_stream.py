"""A stream of the official `openai` package through the death of Redis, and the end of the server."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import redis
from openai import OpenAI

from service.contract.redis_keys import Keys, owned_key, queued_key
from service.contract.transitions import Claim, Transitions
from tests.harness.drawing import acquire, an_entry
from tests.harness.launcher import ApiServer, RedisServer, eager

REQUEST: Any = {"prompt": "letter A", "size": "64x64", "stream": True, "partial_images": 1}
SLICES, COARSE = 8, 4
"""Of the model `toy`."""


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that loses nothing when it is killed."""
    with RedisServer(tmp_path / "redis", "--appendfsync", "always", durable=True) as server:
        yield server


@pytest.fixture
def api(durable: RedisServer, models: Path, tmp_path: Path) -> Iterator[ApiServer]:
    """An API process."""
    with ApiServer(eager(durable.url, models, "toy"), log=tmp_path / "log") as server:
        yield server


@pytest.fixture
def store(durable: RedisServer) -> Iterator[redis.Redis]:
    """A client of that Redis."""
    with redis.Redis(port=durable.port) as client:
        yield client


@pytest.fixture
def client(api: ApiServer) -> Iterator[OpenAI]:
    """The package's client."""
    with OpenAI(base_url=f"{api.url}/v1", api_key="none", timeout=60) as made:
        yield made


class Worker:
    """A worker by hand for the next job."""

    def __init__(self, store: redis.Redis) -> None:
        jobs: Any = store.zrange(queued_key("toy"), 0, -1)
        self._claim = Claim(keys=Keys(id=jobs[0].decode(), model="toy"), token="hand")
        self._transitions = Transitions(store)
        self._transitions(acquire(self._claim, lease_seconds=600))

    def append(self, first: int, last: int) -> None:
        """Append slices; after the last one finish."""
        for step in range(first, last):
            self._transitions(self._claim.append(an_entry(step)))
        if last == SLICES:
            self._transitions(self._claim.finish())


def test_a_stream_outlives_redis_and_a_repeat_outlives_the_server(
    durable: RedisServer, api: ApiServer, store: redis.Redis, client: OpenAI, tmp_path: Path
) -> None:
    """A kill of Redis only delays it. The stop of a server is an error; a repeat with the same key gets the images."""
    with client.images.generate(**REQUEST) as stream:
        worker = Worker(store)
        worker.append(0, COARSE)
        assert next(stream).type == "image_generation.partial_image"
        durable.kill()
        durable.start()
        worker.append(COARSE, SLICES)
        assert [event.type for event in stream] == ["image_generation.completed"]

    once = {"Idempotency-Key": "icon-1"}
    with client.images.generate(**REQUEST, extra_headers=once) as stream:
        worker = Worker(store)
        worker.append(0, COARSE)
        assert next(stream).type == "image_generation.partial_image"
        api.send(signal.SIGTERM)
        with pytest.raises(openai.APIError, match="about to stop"):
            next(stream)
    assert api.exit_code(within_seconds=30) is not None
    api.start()
    worker.append(COARSE, SLICES)
    events = client.images.generate(**REQUEST, extra_headers=once)
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert store.zcard(owned_key("", "jobs")) == 2
    assert not {"Traceback", "leaked"} & set((tmp_path / "log").read_text().split())
