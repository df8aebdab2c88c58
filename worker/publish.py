"""What a worker reads and writes about a job: take it, publish its slices, end it. All writes are transitions."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from service.contract import Drawing, Event, JobRecord, JobRequest, Keys, Problem, SliceEntry, replay
from service.transitions import Claim, Outcome, Transitions
from worker.lease import Lease

if TYPE_CHECKING:
    from redis import Redis

    from models.subscale import Progress

logger = logging.getLogger(__name__)

POISONED = Problem(
    type="urn:spn:poisoned",
    title="Gave up",
    detail="Every attempt ended without a new slice; the last worker was lost.",
)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A job this worker now holds, and how far it is."""

    request: JobRequest
    drawing: Drawing
    lease: Lease


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Under what a worker takes jobs: its weights and numerics, and how long and how often."""

    weights: str
    numerics: str
    lease_seconds: float
    max_attempts: int


class Publisher:
    """The main thread's side of the contract. Its client waits for Redis as long as it takes."""

    def __init__(self, client: Redis, *, model: str, terms: Terms) -> None:
        self._client, self._transitions = client, Transitions(client)
        self._model, self._terms = model, terms

    def take(self, job: str) -> Taken | None:
        """Acquire `job` and read how far it is; None if it is not to be had."""
        claim, terms = Claim(keys=Keys(id=job, model=self._model), token=uuid4().hex), self._terms
        reply = self._transitions(
            claim.acquire(
                lease_seconds=terms.lease_seconds,
                max_attempts=terms.max_attempts,
                poisoned=POISONED,
                weights=terms.weights,
                numerics=terms.numerics,
            )
        )
        if reply.outcome is not Outcome.DONE:
            logger.info("job %s not taken: %s", job, reply.outcome, extra={"job": job})
            return None
        return self._resume(Lease(claim))

    def append(self, lease: Lease, *, image: int, progress: Progress) -> None:
        """Publish the slice drawn last."""
        entry = SliceEntry.of(progress, progress.done - 1, image=image)
        lease.hear(self._transitions(lease.claim.append(entry)))

    def finish(self, lease: Lease) -> Outcome:
        """All slices are published."""
        return self._transitions(lease.claim.finish()).outcome

    def cancel(self, lease: Lease) -> Outcome:
        """Stop, as was asked."""
        return self._transitions(lease.claim.cancel()).outcome

    def release(self, lease: Lease) -> Outcome:
        """Hand back, for another worker to go on."""
        return self._transitions(lease.claim.release()).outcome

    def fail(self, lease: Lease, problem: Problem) -> Outcome:
        """End it with its reason."""
        return self._transitions(lease.claim.fail(problem)).outcome

    def _resume(self, lease: Lease) -> Taken:
        """What earlier attempts drew, unless with other weights or numerics: those slices are void."""
        keys, terms = lease.claim.keys, self._terms
        record = JobRecord.decode(self._client.hgetall(keys.record))
        if (record.weights, record.numerics) != (terms.weights, terms.numerics):
            lease.hear(self._transitions(lease.claim.restart(weights=terms.weights, numerics=terms.numerics)))
        entries: Any = self._client.xrange(keys.stream)
        events = (Event.decode(entry, record.request.geometry) for entry in entries)
        return Taken(request=record.request, drawing=replay(record.request, events), lease=lease)
