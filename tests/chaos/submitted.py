"""Jobs of a trial: their submits, and what must be true of each at the end."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.site import GEOMETRY, MODEL
from service.contract.redis_keys import Keys
from service.contract.statuses import EventKind
from service.contract.stream import Event
from tests.chaos.deadlines import NotHeldError
from tests.chaos.stand import Stand

SEEDS = range(16)
"""Seeds of ordinary jobs, of which reference pixels exist."""

References = Mapping[int, Sequence[bytes]]
"""Pixels of the images without a fault, by seed."""


@dataclass(frozen=True, kw_only=True)
class SubmittedJob:
    """A job that was acknowledged."""

    job: str
    seed: int

    @property
    def num_images(self) -> int:
        """Every other job has two."""
        return 1 + self.seed % 2 if self.seed in SEEDS else 1


class RefusedError(Exception):
    """The submit was not accepted."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status} {body}")
        self.status = status


def submit(stand: Stand, seed: int) -> SubmittedJob:
    """Submit. Raises RefusedError, httpx.TransportError."""
    wanted = SubmittedJob(job="", seed=seed)
    answer = stand.http.post("/generate", json={"seed": seed, "num_images": wanted.num_images})
    if answer.status_code != HTTPStatus.ACCEPTED:
        raise RefusedError(answer.status_code, answer.text)
    return SubmittedJob(job=answer.json()["id"], seed=seed)


def body(stand: Stand, submitted: SubmittedJob) -> dict[str, Any]:
    """Return the job as the API shows it."""
    found: dict[str, Any] = stand.http.get(f"/jobs/{submitted.job}").raise_for_status().json()
    return found


def pixels(stand: Stand, submitted: SubmittedJob) -> list[bytes]:
    """Return the pixels of all its images."""
    paths = (f"/jobs/{submitted.job}/images/{index}?format=png" for index in range(submitted.num_images))
    files = (stand.http.get(path).raise_for_status().content for path in paths)
    return [np.asarray(Image.open(io.BytesIO(file))).tobytes() for file in files]


def events(stand: Stand, job: str) -> list[Event]:
    """Return all entries of the job's stream."""
    entries: Any = stand.store.xrange(Keys(id=job, model=MODEL).stream)
    return [Event.decode(entry, GEOMETRY) for entry in entries]


def seconds(event: Event) -> float:
    """When it was written, since 1970."""
    return int(event.id.partition("-")[0]) / 1000


def check_succeeded(stand: Stand, submitted: SubmittedJob, references: References) -> None:
    """Check that it succeeded: each slice once and in order, one final event, the reference pixels. Raises NotHeldError."""
    entries, steps = events(stand, submitted.job), list(range(len(GEOMETRY.steps)))
    check_one_end(submitted, entries, EventKind.SUCCEEDED)
    for image in range(submitted.num_images):
        found = [event.slice.step for event in entries if event.slice and event.slice.image == image]
        if found != steps:
            raise NotHeldError(f"{submitted}: the slices of image {image} are {found}")
    if any(event.kind is EventKind.RESTARTED for event in entries):
        raise NotHeldError(f"{submitted}: started again")
    if (status := body(stand, submitted)["status"]) != "succeeded":
        raise NotHeldError(f"{submitted}: its stream says succeeded, its record {status}")
    if pixels(stand, submitted) != list(references[submitted.seed]):
        raise NotHeldError(f"{submitted}: other pixels than undisturbed")


def check_one_end(submitted: SubmittedJob, entries: Sequence[Event], *kinds: EventKind) -> None:
    """One terminal event, of one of `kinds`, and nothing after it. Raises NotHeldError."""
    ends = [event.kind for event in entries if event.kind.final]
    if len(ends) != 1 or ends[0] not in kinds or entries[-1].kind is not ends[0]:
        raise NotHeldError(f"{submitted}: ends {ends}, the last event {entries[-1].kind if entries else None}")


def recovery(stand: Stand, jobs: Iterable[SubmittedJob], since: float) -> float:
    """Seconds from `since` until the last of the jobs that had not ended went on. Raises NotHeldError if one did not."""
    worst = 0.0
    for submitted in jobs:
        entries = events(stand, submitted.job)
        if any(event.kind.final and seconds(event) < since for event in entries):
            continue
        after = [seconds(event) for event in entries if seconds(event) >= since]
        if not after:
            raise NotHeldError(f"{submitted}: nothing happened after the fault")
        worst = max(worst, after[0] - since)
    return worst
