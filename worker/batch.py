"""The worker's loop: continuous batching. After each slice finished jobs leave, waiting ones join, cancelled ones stop.

It knows neither Redis nor RQ: jobs come as tickets from a `Desk`, their slices go out through the `Publisher`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Protocol

import torch

from models.cards import ModelCard
from models.errors import ControlError, NotFiniteError
from models.pipeline import ImageState
from service.contract.problem_types import BROKEN, CHANGED, NOT_FINITE, TOO_LARGE
from service.contract.record import OVERDUE, Problem
from worker.jobs.lease import Heartbeat
from worker.jobs.live_job import LiveJob, Ticket, initial_states
from worker.jobs.publish import Drawn, Publisher, Taken
from worker.scheduler import Row, Scheduler
from worker.telemetry.pace_estimator import PaceKeeper

logger = logging.getLogger(__name__)

ROOM = 2
"""Jobs are admitted while the live pictures make fewer than this many batches, counted in lanes: a newcomer need not wait for
a leaver, and a worker leaves to others what it could not begin soon.
"""


class DeviceLostError(Exception):
    """The accelerator answers this process no more. Only another one can go on: end, and let the leases run out."""


class Desk(Protocol):
    """Where tickets come from and go back to."""

    @property
    def stopping(self) -> bool:
        """Whether to take nothing more and hand everything back."""

    def take(self) -> Ticket | None:
        """A waiting ticket, at once or not at all."""

    def close(self, ticket: Ticket) -> None:
        """The delivery is over, however its job stands."""

    def beat(self) -> None:
        """Called between slices."""


class Sampler(Protocol):
    """What the loop uses of models.pipeline.Pipeline."""

    card: ModelCard
    capacity: int

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """One slice further each; all stand at one network."""


class Batch:
    """All jobs that one worker draws at the same time."""

    def __init__(
        self, sampler: Sampler, *, publisher: Publisher, heartbeat: Heartbeat, desk: Desk, pace: PaceKeeper
    ) -> None:
        self._sampler, self._publisher, self._heartbeat, self._desk = sampler, publisher, heartbeat, desk
        self._pace, self._moves = pace, 0
        self._capacity = sampler.capacity
        self._jobs: dict[str, LiveJob] = {}
        self._scheduler, self._arrivals = Scheduler(), count()

    def run(self, first: Ticket) -> None:
        """Draw until no job is left. If drawing cannot go on, the leases run out and other workers take over."""
        self._capacity = self._sampler.capacity
        try:
            began = time.monotonic()
            self._admit(first)
            self._change(began)
            while self._jobs:
                self._turn()
        finally:
            for job in self._jobs.values():
                self._heartbeat.drop(job.lease)
            self._jobs.clear()

    def _turn(self) -> None:
        """A round and what follows it. The pace hears of a round with all that has to be waited for until the next, but for
        jobs that come or go; and of none that failed.
        """
        began = time.monotonic()
        rows = self._scheduler.choose(self._waiting(), self._capacity)
        whole = self._advance(rows)
        advanced = time.monotonic()
        until = advanced if self._change(advanced) else time.monotonic()
        if whole:
            self._pace.round(rows[0].stage, lanes=sum(row.lanes for row in rows), seconds=until - began)

    def _change(self, began: float) -> int:
        """Let jobs go and come, since `began`; how many did."""
        self._settle()
        self._fill()
        moves, self._moves = self._moves, 0
        if moves:
            self._pace.moved(moves, seconds=time.monotonic() - began)
        return moves

    def _waiting(self) -> list[Row]:
        """The pictures that may be drawn now, each a round longer without a slice."""
        rows = self._rows()
        for row in rows:
            self._jobs[row.job].waited[row.image] += 1
        return rows

    def _advance(self, rows: Sequence[Row]) -> bool:
        """One slice for `rows`, whose turn it is; whether all were drawn at once."""
        sizes = []
        for drawn in self._draw(rows):
            self._publish(drawn)
            sizes.append(len(drawn))
        self._desk.beat()
        return sizes == [len(rows)]

    def _publish(self, drawn: Sequence[tuple[Row, ImageState]]) -> None:
        """Enter what was drawn together, and tell it for all jobs that are still this worker's."""
        for row, state in drawn:
            job = self._jobs[row.job]
            job.states[row.image], job.waited[row.image] = state, 0
            job.drawn[row.image] += 1
        held = [(row, state) for row, state in drawn if not self._jobs[row.job].lease.lost]
        self._publisher.append(
            [
                Drawn(lease=self._jobs[row.job].lease, image=row.image, progress=state.progress, score=state.score)
                for row, state in held
            ]
        )
        for row, _ in held:
            self._jobs[row.job].suspect = False

    def _settle(self) -> None:
        """See off all jobs that are over, or all of them when the worker stops."""
        for job in list(self._jobs.values()):
            if self._conclude(job):
                del self._jobs[job.ticket.job]
                self._moves += 1
                self._heartbeat.drop(job.lease)
                self._desk.close(job.ticket)

    def _fill(self) -> None:
        """Let waiting jobs join while there is room."""
        while (
            sum(row.lanes for row in self._rows()) < ROOM * self._capacity
            and not self._desk.stopping
            and not self._suspect()
        ):
            if (ticket := self._desk.take()) is None:
                break
            self._admit(ticket)
        self._settle()

    def _conclude(self, job: LiveJob) -> bool:
        """Write how `job` ends, if it does. One whose lease ran out by our own clock goes on only if Redis agrees."""
        if job.lease.expired and not job.lease.lost:
            self._publisher.renew(job.lease)
        if job.lease.lost:
            logger.warning("job %s was taken over", job.ticket.job, extra={"job": job.ticket.job})
        elif job.problem:
            self._publisher.fail(job.lease, job.problem)
        elif job.complete:
            self._publisher.finish(job.lease)
        elif job.lease.canceling:
            self._publisher.cancel(job.lease)
        elif job.lease.overdue:
            self._publisher.fail(job.lease, OVERDUE)
        elif self._desk.stopping:
            self._publisher.release(job.lease)
        else:
            return False
        return True

    def _admit(self, ticket: Ticket) -> None:
        taken = None if ticket.job in self._jobs else self._publisher.take(ticket.job)
        if taken is None:
            self._desk.close(ticket)
            return
        self._heartbeat.hold(taken.lease)
        self._jobs[ticket.job] = self._enter(ticket, taken)
        self._moves += 1

    def _enter(self, ticket: Ticket, taken: Taken) -> LiveJob:
        arrival, suspect = next(self._arrivals), taken.suspect
        job = LiveJob(
            ticket=ticket,
            lease=taken.lease,
            card=self._sampler.card,
            arrival=arrival,
            states=[],
            waited=[],
            suspect=suspect,
        )
        try:
            job.states = initial_states(taken, self._sampler.card)
        except ControlError:
            job.problem = CHANGED
        job.drawn, job.waited = [0] * len(job.states), [0] * len(job.states)
        return job

    def _rows(self) -> list[Row]:
        """The pictures that may be drawn now. A suspect is drawn alone, once no other job could be lost with it unmoved:
        then its neighbours spend no attempt on the death of this worker.
        """
        jobs = list(self._jobs.values())
        if suspect := self._suspect():
            jobs = [job for job in jobs if not job.moved and job is not suspect] or [suspect]
        return [row for job in jobs for row in job.rows()]

    def _suspect(self) -> LiveJob | None:
        """There is one at most: nobody joins while there is."""
        return next((job for job in self._jobs.values() if job.suspect), None)

    def _draw(self, rows: Sequence[Row]) -> Iterator[list[tuple[Row, ImageState]]]:
        """The drawn rows, each batch as soon as it is. If one fails, its halves are tried, and so on; a picture that fails
        alone fails its job.
        """
        if not rows:
            return
        drawn = self._drawn(rows)
        if isinstance(drawn, list):
            yield list(zip(rows, drawn, strict=True))
        elif len(rows) == 1:
            self._jobs[rows[0].job].problem = drawn
        else:
            half = len(rows) // 2
            yield from self._draw(rows[:half])
            yield from self._draw(rows[half:])

    def _drawn(self, rows: Sequence[Row]) -> list[ImageState] | Problem:
        """The new states of `rows`, or why there are none. Memory is free again on return: no traceback holds it."""
        try:
            return self._sampler.advance([self._jobs[row.job].states[row.image] for row in rows])
        except torch.AcceleratorError as error:
            raise DeviceLostError from error
        except (torch.OutOfMemoryError, MemoryError) as error:
            lanes = sum(row.lanes for row in rows)
            self._capacity = max(1, lanes // 2)
            logger.warning("%d lanes do not fit the memory, going on with %d: %s", lanes, self._capacity, error)
            problem = TOO_LARGE
        except NotFiniteError as error:
            logger.error("%d rows at %s: %s", len(rows), rows[0].stage, error)  # noqa: TRY400 - the message says it all
            problem = NOT_FINITE
        except Exception:
            logger.exception("%d rows at %s could not be drawn", len(rows), rows[0].stage)
            problem = BROKEN
        torch.cuda.empty_cache()
        return problem
