"""The jobs that a worker holds: how they are acquired, which rows they offer to a round, and how they end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from itertools import count
from typing import Protocol

from models.cards import ModelCard
from models.errors import ControlError
from service.contract.problem_types import CHANGED
from service.contract.record import OVERDUE, Problem
from worker.jobs.lease import Heartbeat
from worker.jobs.live_job import LiveJob, initial_states
from worker.jobs.publish import AcquiredJob, Publisher
from worker.scheduler import BatchRow, lanes_of

logger = logging.getLogger(__name__)


class TicketSource(Protocol):
    """The queue that wakes the worker: it has one ticket for each job that waits."""

    @property
    def stopping(self) -> bool:
        """Whether the worker shall take no more jobs and return those that it has."""

    def discard(self, count: int) -> None:
        """Remove `count` tickets, now or soon, or all if there are fewer: that many jobs were acquired without them."""

    def beat(self) -> None:
        """Keep the worker alive in the queue; called after each round."""


class HeldJobs:
    """The jobs whose leases this worker holds, by id."""

    def __init__(self, card: ModelCard, *, publisher: Publisher, heartbeat: Heartbeat, tickets: TicketSource) -> None:
        self._card, self._publisher, self._heartbeat, self._tickets = card, publisher, heartbeat, tickets
        self._jobs: dict[str, LiveJob] = {}
        self._arrivals, self._moves = count(), 0

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, job: str) -> LiveJob:
        return self._jobs[job]

    @property
    def suspect(self) -> LiveJob | None:
        """The job that may have ended an earlier worker; at most one, because no job joins while there is one."""
        return next((job for job in self._jobs.values() if job.suspect), None)

    @property
    def lanes(self) -> int:
        """The lanes that all rows take together."""
        return lanes_of(self._rows())

    def owners_with(self, lanes: int) -> set[str]:
        """Return the owners whose interactive rows take at least `lanes` lanes."""
        taken = Counter[str]()
        for row in self._rows():
            taken[row.owner] += row.lanes * row.interactive
        return {owner for owner, count in taken.items() if count >= lanes}

    def waiting_rows(self) -> list[BatchRow]:
        """Return the rows to choose from, and count one more round of waiting for each."""
        rows = self._rows()
        for row in rows:
            self._jobs[row.job].waited[row.image] += 1
        return rows

    def admit(self, *, except_owners: Collection[str] | None = None) -> LiveJob | None:
        """Acquire the job that is next and return it; None if none waits. `except_owners`: as in `next_job`."""
        acquired = self._publisher.claim(except_owners=except_owners)
        if acquired is None:
            return None
        if lost := self._jobs.get(acquired.request.id):  # its lease ran out here, and no other worker was faster
            self._heartbeat.drop(lost.lease)
        self._heartbeat.hold(acquired.lease)
        job = self._jobs[acquired.request.id] = self._live_job(acquired)
        self._moves += 1
        return job

    def conclude(self) -> None:
        """Remove the jobs that are over; all of them if the worker stops. Complete ones end together."""
        over = [job for job in self._jobs.values() if self._is_over(job)]
        self._publisher.finish([job.lease for job in over if job.succeeds])
        for job in over:
            del self._jobs[job.id]
            self._moves += 1
            self._heartbeat.drop(job.lease)

    def count_moves(self) -> int:
        """Return how many jobs joined or left since the last call."""
        moves, self._moves = self._moves, 0
        return moves

    def release(self) -> None:
        """Return every job, so that a worker continues it; no attempt is spent."""
        for job in self._jobs.values():
            if not job.lease.lost:
                self._publisher.release(job.lease)

    def abandon(self) -> None:
        """Let every lease run out, as if the worker had died."""
        for job in self._jobs.values():
            self._heartbeat.drop(job.lease)
        self._jobs.clear()

    def _rows(self) -> list[BatchRow]:
        """Return the rows that may advance now.

        A suspect job advances alone, once every other job has a new slice. If it ends this worker too, the others lose no
        attempt.
        """
        jobs = list(self._jobs.values())
        if suspect := self.suspect:
            jobs = [job for job in jobs if not job.progressed and job is not suspect] or [suspect]
        return [row for job in jobs for row in job.rows()]

    def _live_job(self, acquired: AcquiredJob) -> LiveJob:
        """Return the job with the states it continues from, or with a problem if the model no longer fits it."""
        problem: Problem | None = None
        try:
            states = initial_states(acquired, self._card)
        except ControlError:
            states, problem = [], CHANGED
        return LiveJob(
            request=acquired.request,
            lease=acquired.lease,
            card=self._card,
            arrival=next(self._arrivals),
            states=states,
            suspect=acquired.suspect,
            problem=problem,
        )

    def _is_over(self, job: LiveJob) -> bool:
        """Return whether `job` needs no more work here; if so, its end is written, but for one that succeeds."""
        lease = job.lease
        if lease.expired and not lease.lost:
            self._publisher.renew(lease)  # another worker may have the job: only Redis knows
        if lease.lost:
            logger.warning("job %s is no longer held by this worker", job.id, extra={"job": job.id})
        elif job.problem:
            self._publisher.fail(lease, job.problem)
        elif job.succeeds:
            return True
        elif lease.canceling:
            self._publisher.cancel(lease)
        elif lease.overdue:
            self._publisher.fail(lease, OVERDUE)
        elif self._tickets.stopping:
            self._publisher.release(lease)
        else:
            return False
        return True
