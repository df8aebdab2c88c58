"""What a worker reads and writes about a job: acquire it, publish its slices, end it. Every write is a transition."""

from __future__ import annotations

import logging
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis.exceptions import ResponseError

from service.contract.problem_types import POISONED, UNREADABLE
from service.contract.record import Problem
from service.contract.redis_keys import Keys
from service.contract.request import JobRequest
from service.contract.stream import JobImages, SliceEntry, decode_events, replay
from service.contract.transitions import Acquired, Call, Claim, Outcome, Reply, Transitions, next_job
from worker.jobs.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from redis import Redis

    from models.subscale import Progress
    from service.contract.likelihood import Likelihood

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AcquiredJob:
    """A job that this worker now holds, with its images so far. `suspect`: a holder was lost since its last new slice."""

    request: JobRequest
    images: JobImages
    lease: Lease
    suspect: bool


@dataclass(frozen=True, kw_only=True)
class LeaseTerms:
    """The conditions of every lease: the worker's weights and numerics, the length in seconds, the number of attempts."""

    weights: str
    numerics: str
    lease_seconds: float
    max_attempts: int


@dataclass(frozen=True, kw_only=True)
class NewSlice:
    """The last slice of `progress`, for a job held by `lease`; `score` as in `models.pipeline.ImageState`."""

    lease: Lease
    image: int
    progress: Progress | Likelihood
    score: float | None = None

    @property
    def entry(self) -> SliceEntry:
        """The slice as an entry of the job's stream."""
        return SliceEntry.of(self.progress, self.progress.done - 1, image=self.image, score=self.score)


class Publisher:
    """The main thread's access to jobs in Redis. Its client retries until Redis answers."""

    def __init__(self, client: Redis, *, model: str, terms: LeaseTerms) -> None:
        self._client, self._transitions = client, Transitions(client)
        self._model, self._terms = model, terms

    def claim(self, *, except_owners: Collection[str] | None = None) -> AcquiredJob | None:
        """Acquire the job that is next and read its images; None if none waits. `except_owners`: as in `next_job`."""
        while (found := self._transitions(next_job(self._model, except_owners=except_owners))).outcome is Outcome.DONE:
            if acquired := self.take(found.value):
                return acquired
        return None

    def take(self, job: str) -> AcquiredJob | None:
        """Acquire `job` and read its images; None if it is not available, or failed because it cannot be read."""
        claim, terms = Claim(keys=Keys(id=job, model=self._model), token=uuid4().hex), self._terms
        lease = Lease(claim, until=time.monotonic() + terms.lease_seconds)
        reply = self._sent(
            claim.acquire(
                lease_seconds=terms.lease_seconds,
                max_attempts=terms.max_attempts,
                poisoned=POISONED,
                weights=terms.weights,
                numerics=terms.numerics,
            )
        )
        if reply.outcome is not Outcome.DONE:
            logger.info("job %s not acquired: %s", job, reply.outcome, extra={"job": job})
            return None
        try:
            return self._resume(lease, Acquired.of(reply))
        except (LookupError, ValueError, zlib.error):
            logger.exception("job %s cannot be read", job, extra={"job": job})
            self.fail(lease, UNREADABLE)
            return None

    def renew(self, lease: Lease) -> None:
        """Renew the lease, and learn from Redis whether this worker still holds the job."""
        lease.renew(self._transitions, lease_seconds=self._terms.lease_seconds)

    def append(self, slices: Sequence[NewSlice]) -> None:
        """Publish the slices of a round together, one transition for each job. Each lease learns from its reply."""
        by_token: dict[str, list[NewSlice]] = {}
        for each in slices:
            by_token.setdefault(each.lease.claim.token, []).append(each)
        jobs = list(by_token.values())
        calls = [job[0].lease.claim.append(*(each.entry for each in job)) for job in jobs]
        for job, reply in zip(jobs, self._transitions.together(calls), strict=True):
            job[0].lease.learn(reply)

    def finish(self, leases: Sequence[Lease]) -> list[Outcome]:
        """End jobs as succeeded, together: all slices are published. Each lease learns from its reply."""
        replies = self._transitions.together([lease.claim.finish() for lease in leases])
        for lease, reply in zip(leases, replies, strict=True):
            lease.learn(reply)
        return [reply.outcome for reply in replies]

    def cancel(self, lease: Lease) -> Outcome:
        """End the job as canceled."""
        return self._sent(lease.claim.cancel()).outcome

    def release(self, lease: Lease) -> Outcome:
        """Return the job, so that another worker continues it."""
        return self._sent(lease.claim.release()).outcome

    def fail(self, lease: Lease, problem: Problem) -> Outcome:
        """End the job as failed, for the reason `problem`."""
        return self._sent(lease.claim.fail(problem)).outcome

    def _sent(self, call: Call) -> Reply:
        """Run one transition. That of a damaged job replies BROKEN: it must not end the batch that this worker has."""
        (reply,) = self._transitions.together([call])
        if reply.outcome is Outcome.BROKEN:
            logger.error("job %s is damaged: %s", call.id, reply.value, extra={"job": call.id})
        return reply

    def _entries(self, stream: str) -> Any:  # noqa: ANN401 - of redis-py
        """Return the entries of a job's stream. Raises ValueError if it is none."""
        try:
            return self._client.xrange(stream)
        except ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            raise ValueError(str(error)) from error

    def _resume(self, lease: Lease, acquired: Acquired) -> AcquiredJob:
        """Read the slices of earlier attempts. Slices of other weights or numerics are void: the job starts again."""
        request, terms = JobRequest.from_json(acquired.request), self._terms
        if (acquired.weights, acquired.numerics) != (terms.weights, terms.numerics):
            lease.learn(self._sent(lease.claim.restart(weights=terms.weights, numerics=terms.numerics)))
        entries = self._entries(lease.claim.keys.stream) if acquired.resumed else []
        return AcquiredJob(
            request=request,
            images=replay(request, decode_events(entries, request.geometry)),
            lease=lease,
            suspect=acquired.suspect,
        )
