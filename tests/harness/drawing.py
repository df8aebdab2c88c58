"""Jobs without a model: requests, slices of chosen values, and claims of a worker."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_hex

import numpy as np
import redis

from models.config import Geometry
from models.subscale import Progress
from service.contract.likelihood import Likelihood, packed
from service.contract.record import JobRecord, Problem
from service.contract.request import JobRequest
from service.contract.stream import Event, SliceEntry
from service.contract.transitions import Call, Claim, Outcome, Transitions, create

GEOMETRY = Geometry(size=8, slice_size=4)
POISONED = Problem(type="urn:test", title="Poisoned", detail="as a test")


def a_request(*, num_images: int = 1, retention_seconds: int = 600, start_slices: int = 0, seed: int = 7) -> JobRequest:
    """Return a request for the model `toy`."""
    return JobRequest(
        id=token_hex(6),
        model="toy",
        seed=seed,
        temperature=1.0,
        controls=({"label": "A"},) * num_images,
        geometry=GEOMETRY,
        start_slices=start_slices,
        retention_seconds=retention_seconds,
    )


def a_picture(seed: int = 0) -> Progress:
    """Return a complete random image."""
    image = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Progress.of(image, GEOMETRY)


def a_score_request(seed: int = 0) -> JobRequest:
    """Return a request to score `a_picture(seed)`."""
    return replace(a_request(seed=0), scored=packed(a_picture(seed).image()))


def a_likelihood(seed: int = 0) -> Likelihood:
    """Return a complete likelihood of `a_picture(seed)`, of random bits."""
    bits = np.random.default_rng(seed).exponential(1, (len(GEOMETRY.steps), *GEOMETRY.slice_shape)).astype(np.float32)
    return Likelihood(given=a_picture(seed), slices=tuple(bits))


def an_entry(step: int, *, image: int = 0, seed: int = 0) -> SliceEntry:
    """Return slice `step` of `a_picture(seed)`."""
    return SliceEntry.of(a_picture(seed), step, image=image)


def a_claim(request: JobRequest) -> Claim:
    """Return a claim with a new token, not yet acquired."""
    return Claim(keys=request.keys, token=token_hex(6))


def acquire(claim: Claim, *, lease_seconds: float = 30, max_attempts: int = 3, weights: str = "w") -> Call:
    """Return the acquire call with defaults for tests."""
    return claim.acquire(
        lease_seconds=lease_seconds, max_attempts=max_attempts, poisoned=POISONED, weights=weights, numerics="n"
    )


def a_running_job(transitions: Transitions, *, num_images: int = 1, lease_seconds: float = 30) -> Claim:
    """Create and acquire a job, and return its claim."""
    request = a_request(num_images=num_images)
    transitions(create(request, bound=100))
    claim = a_claim(request)
    assert transitions(acquire(claim, lease_seconds=lease_seconds)).outcome is Outcome.DONE
    return claim


def record_of(store: redis.Redis, claim: Claim) -> JobRecord:
    """Return the record of a job."""
    return JobRecord.decode(store.hgetall(claim.keys.record))


def events_of(store: redis.Redis, claim: Claim) -> list[Event]:
    """Return all events of a job."""
    return [Event.decode(entry, GEOMETRY) for entry in store.xrange(claim.keys.stream) or []]
