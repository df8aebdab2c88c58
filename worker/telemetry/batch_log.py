"""When jobs get their first slice and how they end: a publisher with an observer and log lines. Times are Redis' own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from service.contract.record import Problem
from service.contract.statuses import Status
from service.contract.transitions import Outcome
from worker.jobs.publish import AcquiredJob, LeaseTerms, Publisher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from worker.jobs.lease import Lease
    from worker.jobs.publish import NewSlice

logger = logging.getLogger(__name__)


class JobObserver(Protocol):
    """A receiver of the times of jobs, such as metrics."""

    def first_slice(self, seconds: float) -> None:
        """Note a job's first slice, `seconds` after its creation."""

    def ended(self, status: Status, seconds: float) -> None:
        """Note a job's end, `seconds` after its creation."""


class BatchLog(Publisher):
    """A publisher that reports first slices and ends to `observer` and the log. Those of a round are one read from Redis."""

    def __init__(self, client: Redis, *, model: str, terms: LeaseTerms, observer: JobObserver) -> None:
        super().__init__(client, model=model, terms=terms)
        self._observer = observer
        self._without_slice: set[str] = set()

    def take(self, job: str) -> AcquiredJob | None:
        """Do as Publisher.take; remember jobs without a generated slice."""
        acquired = super().take(job)
        if acquired and all(each.done == acquired.request.start_slices for each in acquired.images.progress):
            self._without_slice.add(job)
        return acquired

    def append(self, slices: Sequence[NewSlice]) -> None:
        """Do as Publisher.append; report first slices."""
        super().append(slices)
        leases = {job: each.lease for each in slices if (job := each.lease.claim.keys.id) in self._without_slice}
        self._without_slice -= leases.keys()
        held = [lease for lease in leases.values() if not lease.lost]
        for created, last in self._read(held, "created_at", "last_id"):
            self._observer.first_slice((int(last.partition(b"-")[0]) - int(created)) / 1000)

    def finish(self, leases: Sequence[Lease]) -> list[Outcome]:
        """Do as Publisher.finish; report the ends. Storing a complete job is no work of this worker."""
        outcomes = super().finish(leases)
        self._report(leases, outcomes)
        return outcomes

    def cancel(self, lease: Lease) -> Outcome:
        """Do as Publisher.cancel; report the end."""
        return self._reported(lease, super().cancel(lease))

    def release(self, lease: Lease) -> Outcome:
        """Do as Publisher.release; report the end of a job that was to be canceled."""
        return self._reported(lease, super().release(lease))

    def fail(self, lease: Lease, problem: Problem) -> Outcome:
        """Do as Publisher.fail; report the end."""
        return self._reported(lease, super().fail(lease, problem))

    def _reported(self, lease: Lease, outcome: Outcome) -> Outcome:
        self._report([lease], [outcome])
        return outcome

    def _report(self, leases: Sequence[Lease], outcomes: Sequence[Outcome]) -> None:
        self._without_slice -= {lease.claim.keys.id for lease in leases}
        pairs = zip(leases, outcomes, strict=True)
        ended = [(lease, outcome) for lease, outcome in pairs if outcome in {Outcome.DONE, Outcome.COMPLETE}]
        times = self._read([lease for lease, _ in ended], "status", "created_at", "finished_at", "completed_at")
        for (lease, outcome), (status, created, finished, completed) in zip(ended, times, strict=True):
            complete = outcome is Outcome.COMPLETE
            self._report_end(
                lease.claim.keys.id,
                Status.SUCCEEDED if complete else Status(status.decode()),
                int((completed if complete else finished) or 0) - int(created),
            )

    def _report_end(self, job: str, status: Status, milliseconds: int) -> None:
        if not status.final:
            logger.info("job %s returned to the queue", job, extra={"job": job})
            return
        seconds = milliseconds / 1000
        fields = {"job": job, "status": status, "seconds": seconds}
        logger.info("job %s %s after %.1f s", job, status, seconds, extra=fields)
        self._observer.ended(status, seconds)

    def _read(self, leases: Sequence[Lease], *names: str) -> list[Any]:
        """Return the fields `names` of the record of each job, in one round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            for lease in leases:
                pipeline.hmget(lease.claim.keys.record, list(names))
            return pipeline.execute()
