"""One watcher, two API processes, fifty cuts: an event stream is resumed wherever and whenever."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Semaphore, Thread
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from httpx_sse import EventSource, ServerSentEvent

from models.config import Geometry
from models.subscale import Progress
from service.contract.request import JobRequest
from service.contract.stream import SliceEntry
from service.contract.transitions import Transitions, create
from tests.harness.drawing import a_claim, a_request, acquire
from tests.harness.launcher import ApiServer, eager

GEOMETRY = Geometry(size=16, slice_size=4)
"""That of the toy model `slow`: 32 slices."""

PICTURES = 8
TOTAL = len(GEOMETRY.steps) * PICTURES
CUTS = 50
KILLS = (8, 18, 28, 38, 48)
"""Before these reconnects one of the two processes is killed, and started again after the next."""

PAUSE_SECONDS = 0.01


@pytest.fixture
def two(store: redis.Redis, redis_url: str, models: Path) -> Iterator[tuple[ApiServer, ApiServer]]:
    """Two API processes on one Redis."""
    assert store.dbsize() == 0
    settings = eager(redis_url, models, "slow")
    with ApiServer(settings) as first, ApiServer(settings) as second:
        yield first, second


class Painter(Thread):
    """Draws a job slice by slice, its pictures in turn, never more than is allowed: no cut comes too late."""

    def __init__(self, redis_url: str, request: JobRequest) -> None:
        super().__init__()
        self._redis_url, self._request = redis_url, request
        self.allowed = Semaphore(0)

    def run(self) -> None:
        """From acquire to finish."""
        with redis.Redis.from_url(self._redis_url) as store:
            transitions, claim = Transitions(store), a_claim(self._request)
            transitions(acquire(claim, lease_seconds=600))
            pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            progress = Progress.of(pixels, GEOMETRY)
            for step in range(len(GEOMETRY.steps)):
                for image in range(PICTURES):
                    self.allowed.acquire()
                    time.sleep(PAUSE_SECONDS)
                    transitions(claim.append(SliceEntry.of(progress, step, image=image)))
            transitions(claim.finish())


@dataclass
class Watcher:
    """An event source that remembers what it saw, and where it was."""

    job: str
    last_id: str = ""
    seen: list[ServerSentEvent] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether the stream's last event was seen."""
        return bool(self.seen) and self.seen[-1].event == "succeeded"

    def connect(self, url: str, events: int | None) -> int:
        """Watch from where it was until so many `events` have come, then cut the connection; the answer's status."""
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        with httpx.stream("GET", f"{url}/jobs/{self.job}/events", headers=headers, timeout=20) as response:
            if response.status_code == 200:
                self._read(response, events)
            return response.status_code

    def _read(self, response: httpx.Response, events: int | None) -> None:
        for count, event in enumerate(EventSource(response).iter_sse()):
            if count == events:  # sent, and lost on the way
                return
            self.seen.append(event)
            self.last_id = event.id


def test_a_stream_survives_fifty_cuts_and_the_death_of_its_server(
    store: redis.Redis, redis_url: str, two: tuple[ApiServer, ApiServer]
) -> None:
    """Reconnecting now here, now there, shows every slice exactly once, in order; after the end there is a 204."""
    request = a_slow_request()
    Transitions(store)(create(request, bound=10))
    watcher, painter, dice = Watcher(request.id), Painter(redis_url, request), random.Random(7)  # noqa: S311 - a test's dice
    painter.start()
    try:
        for cut in range(CUTS):
            dead = two[cut // 10 % 2] if cut in KILLS else None
            if dead:
                dead.kill()
            alive = next(api for api in (two[cut % 2], two[1 - cut % 2]) if api is not dead)
            events = dice.randint(0, 7)
            painter.allowed.release(events + 1)
            assert watcher.connect(alive.url, events) == 200
            assert not watcher.ended, "the job ended before the last cut"
            if dead:
                dead.start()
        painter.allowed.release(TOTAL)
        assert watcher.connect(two[0].url, None) == 200
    finally:
        painter.allowed.release(TOTAL)
        painter.join()
    assert kinds(watcher) == ["status", "status", *["slice"] * TOTAL, "succeeded"]
    assert [event.id for event in watcher.seen] == stored(store, request)
    assert slices(watcher) == [(step + 1, image) for step in range(len(GEOMETRY.steps)) for image in range(PICTURES)]
    assert [watcher.connect(api.url, None) for api in two] == [204, 204]


def a_slow_request() -> JobRequest:
    """Several pictures of the model `slow`."""
    like = a_request(num_images=PICTURES, retention_seconds=600)
    return JobRequest(id=like.id, model="slow", seed=7, temperature=1.0, controls=like.controls, geometry=GEOMETRY)


def kinds(watcher: Watcher) -> list[str]:
    """What was seen, by kind."""
    return [event.event for event in watcher.seen]


def slices(watcher: Watcher) -> list[tuple[int, int]]:
    """The slices that were seen: how many were done, of which picture."""
    told = (event.json() for event in watcher.seen if event.event == "slice")
    return [(data["slices_done"], data["index"]) for data in told]


def stored(store: redis.Redis, request: JobRequest) -> list[str]:
    """The ids of all entries of the job's stream."""
    entries: Any = store.xrange(request.keys.stream)
    return [entry.decode() for entry, _ in entries]
