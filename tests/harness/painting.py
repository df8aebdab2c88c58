"""A worker without a model, in a thread: every queued job gets slices of chosen values at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import redis

from service.contract.record import JobRecord
from service.contract.redis_keys import Keys, queued_key
from service.contract.transitions import Claim, Outcome, Transitions
from tests.harness.drawing import a_claim, acquire, an_entry

PAUSE_SECONDS = 0.02


@contextmanager
def painting(redis_url: str) -> Iterator[None]:
    """Complete jobs of the model `toy` while this is open."""
    over = Event()
    thread = Thread(target=paint, args=(redis_url, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def paint(redis_url: str, over: Event) -> None:
    """Complete queued jobs, oldest first, until `over` is set."""
    with redis.Redis.from_url(redis_url) as store:
        transitions = Transitions(store)
        while not over.wait(PAUSE_SECONDS):
            jobs: Any = store.zrange(queued_key("toy"), 0, -1)
            for job in jobs:
                draw(store, transitions, job.decode())


def draw(store: redis.Redis, transitions: Transitions, job: str) -> None:
    """Complete one job, from acquire to finish, if it can be acquired."""
    if fields := store.hgetall(Keys(id=job, model="").record):
        record = JobRecord.decode(fields)
        claim = a_claim(record.request)
        if transitions(acquire(claim)).outcome is Outcome.DONE:
            fill(transitions, claim, record)
            transitions(claim.finish())


def fill(transitions: Transitions, claim: Claim, record: JobRecord) -> None:
    """Append all missing slices."""
    for image, done in enumerate(record.done):
        for step in range(done, len(record.request.geometry.steps)):
            transitions(claim.append(an_entry(step, image=image, seed=image)))
