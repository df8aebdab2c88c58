"""A worker without a model, in a thread: every queued job gets slices of chosen values, or of one image, at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import numpy as np
import redis

from models.subscale import Bytes, Progress
from service.contract.likelihood import Likelihood
from service.contract.record import JobRecord
from service.contract.redis_keys import Keys, queued_key
from service.contract.request import JobRequest
from service.contract.stream import SliceEntry
from service.contract.transitions import Claim, Outcome, Transitions
from tests.harness.drawing import a_claim, acquire, an_entry

PAUSE_SECONDS = 0.02
EVEN_BITS = 0.1


@contextmanager
def painting(redis_url: str, model: str = "toy", pixels: Bytes | None = None) -> Iterator[None]:
    """Complete jobs of a model while this is open; all their images become `pixels`, if there are any."""
    over = Event()
    thread = Thread(target=paint, args=(redis_url, over, model, pixels))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def paint(redis_url: str, over: Event, model: str, pixels: Bytes | None) -> None:
    """Complete queued jobs, oldest first, until `over` is set."""
    with redis.Redis.from_url(redis_url) as store:
        transitions = Transitions(store)
        while not over.wait(PAUSE_SECONDS):
            jobs: Any = store.zrange(queued_key(model), 0, -1)
            for job in jobs:
                draw(store, transitions, job.decode(), pixels)


def draw(store: redis.Redis, transitions: Transitions, job: str, pixels: Bytes | None = None) -> None:
    """Complete one job, from acquire to finish, if it can be acquired."""
    if fields := store.hgetall(Keys(id=job, model="").record):
        record = JobRecord.decode(fields)
        claim = a_claim(record.request)
        if transitions(acquire(claim)).outcome is Outcome.DONE:
            fill(transitions, claim, record, pixels)
            transitions(claim.finish())


def fill(transitions: Transitions, claim: Claim, record: JobRecord, pixels: Bytes | None = None) -> None:
    """Append all missing slices."""
    for image, done in enumerate(record.done):
        whole = painted(record.request, pixels)
        for step in range(done, len(record.request.geometry.steps)):
            entry = SliceEntry.of(whole, step, image=image) if whole else an_entry(step, image=image, seed=image)
            transitions(claim.append(entry))


def painted(request: JobRequest, pixels: Bytes | None) -> Progress | Likelihood | None:
    """Return what all images of a job become; None for random ones. A score has EVEN_BITS at each sub-pixel and depth."""
    geometry = request.geometry
    if request.scored:
        bits = np.full(geometry.slice_shape, EVEN_BITS, np.float32)
        return replace(Likelihood.blank(request.scored, geometry), slices=(bits,) * len(geometry.steps))
    return None if pixels is None else Progress.of(pixels, geometry)
