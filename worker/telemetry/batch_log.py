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
    """A publisher that reports first slices and ends to `observer` and the log. Each report is one read from Redis."""

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
        for lease in (each.lease for each in slices if each.lease.claim.keys.id in self._without_slice):
            self._without_slice.discard(lease.claim.keys.id)
            if not lease.lost:
                self._report_first_slice(lease)

    def finish(self, lease: Lease) -> Outcome:
        """Do as Publisher.finish; report the end. Storing a complete job is no work of this worker."""
        return self._reported(lease, super().finish(lease))

    def cancel(self, lease: Lease) -> Outcome:
        """Do as Publisher.cancel; report the end."""
        return self._reported(lease, super().cancel(lease))

    def release(self, lease: Lease) -> Outcome:
        """Do as Publisher.release; report the end of a job that was to be canceled."""
        return self._reported(lease, super().release(lease))

    def fail(self, lease: Lease, problem: Problem) -> Outcome:
        """Do as Publisher.fail; report the end."""
        return self._reported(lease, super().fail(lease, problem))

    def _report_first_slice(self, lease: Lease) -> None:
        created, last = self._read(lease, "created_at", "last_id")
        self._observer.first_slice((int(last.partition(b"-")[0]) - int(created)) / 1000)

    def _reported(self, lease: Lease, outcome: Outcome) -> Outcome:
        job = lease.claim.keys.id
        self._without_slice.discard(job)
        if outcome is Outcome.COMPLETE:
            created, completed = self._read(lease, "created_at", "completed_at")
            self._report_end(job, Status.SUCCEEDED, int(completed) - int(created))
        if outcome is Outcome.DONE:
            status, created, finished = self._read(lease, "status", "created_at", "finished_at")
            self._report_end(job, Status(status.decode()), int(finished or 0) - int(created))
        return outcome

    def _report_end(self, job: str, status: Status, milliseconds: int) -> None:
        if not status.final:
            logger.info("job %s returned to the queue", job, extra={"job": job})
            return
        seconds = milliseconds / 1000
        fields = {"job": job, "status": status, "seconds": seconds}
        logger.info("job %s %s after %.1f s", job, status, seconds, extra=fields)
        self._observer.ended(status, seconds)

    def _read(self, lease: Lease, *names: str) -> list[Any]:
        values: Any = self._client.hmget(lease.claim.keys.record, list(names))
        return list(values)
