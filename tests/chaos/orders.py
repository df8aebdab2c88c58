"""Jobs of a trial: placing them, and what must be true of each one when all is over."""

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
"""Those of ordinary jobs; what they look like undisturbed is known."""

References = Mapping[int, Sequence[bytes]]
"""The pixels of undisturbed pictures, by seed."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A job that was acknowledged."""

    job: str
    seed: int

    @property
    def pictures(self) -> int:
        """Every other job has two."""
        return 1 + self.seed % 2 if self.seed in SEEDS else 1


class RefusedError(Exception):
    """The submit was not accepted."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status} {body}")
        self.status = status


def order(stand: Stand, seed: int) -> Order:
    """Submit. Raises RefusedError, httpx.TransportError."""
    wanted = Order(job="", seed=seed)
    answer = stand.http.post("/generate", json={"seed": seed, "num_images": wanted.pictures})
    if answer.status_code != HTTPStatus.ACCEPTED:
        raise RefusedError(answer.status_code, answer.text)
    return Order(job=answer.json()["id"], seed=seed)


def body(stand: Stand, placed: Order) -> dict[str, Any]:
    """The job as the API tells it."""
    found: dict[str, Any] = stand.http.get(f"/jobs/{placed.job}").raise_for_status().json()
    return found


def pixels(stand: Stand, placed: Order) -> list[bytes]:
    """Of all its pictures."""
    paths = (f"/jobs/{placed.job}/images/{index}?format=png" for index in range(placed.pictures))
    files = (stand.http.get(path).raise_for_status().content for path in paths)
    return [np.asarray(Image.open(io.BytesIO(file))).tobytes() for file in files]


def events(stand: Stand, job: str) -> list[Event]:
    """All that the job's stream tells."""
    entries: Any = stand.store.xrange(Keys(id=job, model=MODEL).stream)
    return [Event.decode(entry, GEOMETRY) for entry in entries]


def seconds(event: Event) -> float:
    """When it was written, since 1970."""
    return int(event.id.partition("-")[0]) / 1000


def check_drawn(stand: Stand, placed: Order, references: References) -> None:
    """Succeeded, each slice told once and in order, one end, the pixels of a calm run. Raises NotHeldError."""
    told, steps = events(stand, placed.job), list(range(len(GEOMETRY.steps)))
    check_one_end(placed, told, EventKind.SUCCEEDED)
    for image in range(placed.pictures):
        drawn = [event.slice.step for event in told if event.slice and event.slice.image == image]
        if drawn != steps:
            raise NotHeldError(f"{placed}: slices of picture {image} were told as {drawn}")
    if any(event.kind is EventKind.RESTARTED for event in told):
        raise NotHeldError(f"{placed}: begun anew")
    if (status := body(stand, placed)["status"]) != "succeeded":
        raise NotHeldError(f"{placed}: its stream says succeeded, its record {status}")
    if pixels(stand, placed) != list(references[placed.seed]):
        raise NotHeldError(f"{placed}: other pixels than undisturbed")


def check_one_end(placed: Order, told: Sequence[Event], *kinds: EventKind) -> None:
    """One terminal event, of one of `kinds`, and nothing after it. Raises NotHeldError."""
    ends = [event.kind for event in told if event.kind.final]
    if len(ends) != 1 or ends[0] not in kinds or told[-1].kind is not ends[0]:
        raise NotHeldError(f"{placed}: ends {ends}, the last event {told[-1].kind if told else None}")


def recovery(stand: Stand, orders: Iterable[Order], since: float) -> float:
    """Seconds from `since` until the last of the jobs that had not ended went on. Raises NotHeldError if one did not."""
    worst = 0.0
    for placed in orders:
        told = events(stand, placed.job)
        if any(event.kind.final and seconds(event) < since for event in told):
            continue
        after = [seconds(event) for event in told if seconds(event) >= since]
        if not after:
            raise NotHeldError(f"{placed}: nothing happened after the fault")
        worst = max(worst, after[0] - since)
    return worst
