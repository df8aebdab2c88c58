"""What a worker reads and writes about a job: take it, publish its slices, end it. All writes are transitions."""

from __future__ import annotations

import logging
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from service.contract.problem_types import POISONED, UNREADABLE
from service.contract.record import JobRecord, Problem
from service.contract.redis_keys import Keys
from service.contract.request import JobRequest
from service.contract.stream import Event, JobImages, SliceEntry, replay
from service.contract.transitions import SUSPECT, Claim, Outcome, Transitions
from worker.jobs.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from models.subscale import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A job this worker now holds, and how far it is. `suspect`: a holder was lost since the last new slice."""

    request: JobRequest
    images: JobImages
    lease: Lease
    suspect: bool


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Under what a worker takes jobs: its weights and numerics, and how long and how often."""

    weights: str
    numerics: str
    lease_seconds: float
    max_attempts: int


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A new slice, the last of `progress`, of a job held by `lease`; `score` as in `models.pipeline.ImageState`."""

    lease: Lease
    image: int
    progress: Progress
    score: float | None = None


class Publisher:
    """The main thread's side of the contract. Its client waits for Redis as long as it takes."""

    def __init__(self, client: Redis, *, model: str, terms: Terms) -> None:
        self._client, self._transitions = client, Transitions(client)
        self._model, self._terms = model, terms

    def take(self, job: str) -> Taken | None:
        """Acquire `job` and read how far it is; None if it is not to be had, or cannot be read and has failed for that."""
        claim, terms = Claim(keys=Keys(id=job, model=self._model), token=uuid4().hex), self._terms
        lease = Lease(claim, until=time.monotonic() + terms.lease_seconds)
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
        try:
            return self._resume(lease, suspect=reply.value == SUSPECT)
        except (LookupError, ValueError, zlib.error):
            logger.exception("job %s cannot be read", job, extra={"job": job})
            self.fail(lease, UNREADABLE)
            return None

    def renew(self, lease: Lease) -> None:
        """Learn whether the job is still this worker's, and hold it on. Waits for Redis."""
        lease.renew(self._transitions, lease_seconds=self._terms.lease_seconds)

    def append(self, drawn: Sequence[Drawn]) -> None:
        """Publish the slices of one round in one round trip, one call for each job; each lease learns from its reply."""
        by_token: dict[str, list[Drawn]] = {}
        for each in drawn:
            by_token.setdefault(each.lease.claim.token, []).append(each)
        jobs = list(by_token.values())
        calls = [job[0].lease.claim.append(*map(entry_of, job)) for job in jobs]
        for job, reply in zip(jobs, self._transitions.together(calls), strict=True):
            job[0].lease.hear(reply)

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

    def _resume(self, lease: Lease, *, suspect: bool) -> Taken:
        """What earlier attempts drew, unless with other weights or numerics: those slices are void."""
        keys, terms = lease.claim.keys, self._terms
        record = JobRecord.decode(self._client.hgetall(keys.record))
        if (record.weights, record.numerics) != (terms.weights, terms.numerics):
            lease.hear(self._transitions(lease.claim.restart(weights=terms.weights, numerics=terms.numerics)))
        entries: Any = self._client.xrange(keys.stream)
        events = (Event.decode(entry, record.request.geometry) for entry in entries)
        return Taken(request=record.request, images=replay(record.request, events), lease=lease, suspect=suspect)


def entry_of(drawn: Drawn) -> SliceEntry:
    """As it joins the stream."""
    return SliceEntry.of(drawn.progress, drawn.progress.done - 1, image=drawn.image, score=drawn.score)
