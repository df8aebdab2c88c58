"""When jobs showed their first slice and how they ended: a publisher that also tells. Times are Redis' own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from service.contract.record import Problem
from service.contract.statuses import Status
from service.contract.transitions import Outcome
from worker.jobs.publish import Publisher, Taken, Terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from worker.jobs.lease import Lease
    from worker.jobs.publish import Drawn

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Whoever wants to know."""

    def first_slice(self, seconds: float) -> None:
        """A job has something to show, `seconds` after it was created."""

    def ended(self, status: Status, seconds: float) -> None:
        """A job ended, `seconds` after it was created."""


class Chronicle(Publisher):
    """Publishes, and tells `observer` and the log. Asks Redis once for each first slice and each end."""

    def __init__(self, client: Redis, *, model: str, terms: Terms, observer: Observer) -> None:
        super().__init__(client, model=model, terms=terms)
        self._observer = observer
        self._untouched: set[str] = set()

    def take(self, job: str) -> Taken | None:
        """As Publisher.take; remembers jobs of which nothing is drawn yet."""
        taken = super().take(job)
        if taken and all(picture.done == taken.request.start_slices for picture in taken.images.progress):
            self._untouched.add(job)
        return taken

    def append(self, drawn: Sequence[Drawn]) -> None:
        """As Publisher.append."""
        super().append(drawn)
        for lease in (each.lease for each in drawn if each.lease.claim.keys.id in self._untouched):
            self._untouched.discard(lease.claim.keys.id)
            if not lease.lost:
                self._tell_first_slice(lease)

    def finish(self, lease: Lease) -> Outcome:
        """As Publisher.finish."""
        return self._told(lease, super().finish(lease))

    def cancel(self, lease: Lease) -> Outcome:
        """As Publisher.cancel."""
        return self._told(lease, super().cancel(lease))

    def release(self, lease: Lease) -> Outcome:
        """As Publisher.release; that too may end a job, if it was to be cancelled."""
        return self._told(lease, super().release(lease))

    def fail(self, lease: Lease, problem: Problem) -> Outcome:
        """As Publisher.fail."""
        return self._told(lease, super().fail(lease, problem))

    def _tell_first_slice(self, lease: Lease) -> None:
        created, last = self._read(lease, "created_at", "last_id")
        self._observer.first_slice((int(last.partition(b"-")[0]) - int(created)) / 1000)

    def _told(self, lease: Lease, outcome: Outcome) -> Outcome:
        job = lease.claim.keys.id
        self._untouched.discard(job)
        if outcome is Outcome.DONE:
            status, created, finished = self._read(lease, "status", "created_at", "finished_at")
            self._tell_end(job, Status(status.decode()), int(finished or 0) - int(created))
        return outcome

    def _tell_end(self, job: str, status: Status, milliseconds: int) -> None:
        if not status.final:
            logger.info("job %s handed back", job, extra={"job": job})
            return
        seconds = milliseconds / 1000
        told = {"job": job, "status": status, "seconds": seconds}
        logger.info("job %s %s after %.1f s", job, status, seconds, extra=told)
        self._observer.ended(status, seconds)

    def _read(self, lease: Lease, *names: str) -> list[Any]:
        values: Any = self._client.hmget(lease.claim.keys.record, list(names))
        return list(values)
