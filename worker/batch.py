"""The worker's loop: continuous batching, in rounds.

A round advances images that are at the same network by one slice each; `worker.scheduler` chooses them. Between two rounds
finished and canceled jobs leave, and waiting jobs join (`worker.jobs.held_jobs`). The loop knows neither Redis nor RQ nor
torch: a `TicketSource` wakes the worker, a `SliceSampler` generates slices, and a `Publisher` acquires jobs and writes slices.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from models.cards import ModelCard
from models.errors import NotFiniteError
from models.pipeline import ImageState
from service.contract.problem_types import BROKEN, NOT_FINITE, TOO_LARGE
from service.contract.record import Problem
from worker.errors import BoardTooLargeError, RoundTooLargeError, WorkerError
from worker.jobs.held_jobs import HeldJobs, TicketSource
from worker.jobs.lease import Heartbeat
from worker.jobs.live_job import State
from worker.jobs.publish import NewSlice, Publisher
from worker.jobs.score_state import ScoreState
from worker.scheduler import BatchRow, Scheduler, lanes_of
from worker.telemetry.pace_estimator import PaceEstimator

logger = logging.getLogger(__name__)

ROOM = 2
"""Full rounds that the live rows may fill: jobs join while the rows take fewer lanes.

With more than one round, a new job need not wait for another to leave. With a limit, jobs that could not start soon are
left to other workers.
"""

NEWCOMER_ROOM = 3
"""Full rounds that the live rows may fill with interactive jobs of owners that have less than one full round here.

So an owner's job need not wait until jobs of another owner leave.
"""


class SliceSampler(Protocol):
    """Networks that generate slices, as `models.pipeline.Pipeline`, and compute the likelihood of given ones."""

    card: ModelCard
    capacity: int

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """Generate the next slice of each state; all need the same network."""

    def score(self, states: Sequence[ScoreState]) -> list[ScoreState]:
        """Compute the likelihood of the next slice of each state; all need the same network."""


class Batch:
    """The jobs that a worker works on at the same time, and their rounds."""

    def __init__(
        self,
        sampler: SliceSampler,
        *,
        publisher: Publisher,
        heartbeat: Heartbeat,
        tickets: TicketSource,
        pace: PaceEstimator,
    ) -> None:
        self._sampler, self._publisher, self._heartbeat = sampler, publisher, heartbeat
        self._tickets, self._pace = tickets, pace
        self._jobs = HeldJobs(sampler.card, publisher=publisher, heartbeat=heartbeat, tickets=tickets)
        self._scheduler, self._capacity = Scheduler(), sampler.capacity

    def run(self) -> None:
        """Work until no job is left, here or in the queue.

        Raises BoardTooLargeError, with all jobs returned. Raises DeviceLostError; the leases then run out.
        """
        self._capacity = self._sampler.capacity
        try:
            started = time.monotonic()
            self._exchange_jobs(started)
            while self._jobs:
                self._round()
        except BoardTooLargeError:
            self._jobs.release()
            raise
        finally:
            self._jobs.abandon()

    def _round(self) -> None:
        """Advance the chosen rows, then let jobs leave and join.

        The cost of a round is the time until the next one can start. The time for jobs that leave or join is learned
        separately. A round with failed rows is not learned.
        """
        started = time.monotonic()
        rows = self._scheduler.choose(self._jobs.waiting_rows(), self._capacity)
        complete = self._advance(rows)
        advanced = time.monotonic()
        ended = advanced if self._exchange_jobs(advanced) else time.monotonic()
        if complete:
            self._pace.round(rows[0].stage, lanes=lanes_of(rows), seconds=ended - started)

    def _exchange_jobs(self, started: float) -> int:
        """Let jobs leave and join, and return how many did. `started`: when the first of them began to."""
        self._jobs.conclude()
        self._fill()
        if moves := self._jobs.count_moves():
            self._pace.moved(moves, seconds=time.monotonic() - started)
        return moves

    def _fill(self) -> None:
        """Admit waiting jobs while there is room and no suspect."""
        lanes, suspect, admitted = self._jobs.lanes, self._jobs.suspect, 0
        while lanes < NEWCOMER_ROOM * self._capacity and not self._tickets.stopping and not suspect:
            served = None if lanes < ROOM * self._capacity else self._jobs.owners_with(self._capacity)
            if (job := self._jobs.admit(except_owners=served)) is None:
                break
            admitted += 1
            lanes, suspect = lanes + lanes_of(job.rows()), job if job.suspect else None
        self._tickets.discard(admitted)
        self._jobs.conclude()

    def _advance(self, rows: Sequence[BatchRow]) -> bool:
        """Generate and publish one slice for each row, and return whether all rows succeeded together."""
        sizes = []
        for generated in self._generate(rows):
            self._publish(generated)
            sizes.append(len(generated))
        self._tickets.beat()
        return sizes == [len(rows)]

    def _generate(self, rows: Sequence[BatchRow]) -> Iterator[list[tuple[BatchRow, State]]]:
        """Yield rows with their new states.

        If rows fail together, each half is tried, and so on. A row that fails alone fails its job.
        """
        if not rows:
            return
        states = self._sample(rows)
        if isinstance(states, list):
            yield list(zip(rows, states, strict=True))
        elif len(rows) == 1:
            self._jobs[rows[0].job].problem = states
        else:
            half = len(rows) // 2
            yield from self._generate(rows[:half])
            yield from self._generate(rows[half:])

    def _sample(self, rows: Sequence[BatchRow]) -> list[State] | Problem:
        """Return the new states of `rows`, or the reason why there are none."""
        limit_seconds = self._pace.limit_seconds(rows[0].stage, lanes=lanes_of(rows))
        try:
            with self._heartbeat.round(limit_seconds):
                return self._next_states([self._jobs[row.job].states[row.image] for row in rows])
        except RoundTooLargeError as error:
            lanes = lanes_of(rows)
            self._capacity = max(1, lanes // 2)
            logger.warning("%d lanes do not fit in memory, continuing with %d: %s", lanes, self._capacity, error)
            return TOO_LARGE
        except WorkerError:
            raise
        except NotFiniteError as error:
            logger.error("%d rows of network %s failed: %s", len(rows), rows[0].stage, error)  # noqa: TRY400 - the message suffices
            return NOT_FINITE
        except Exception:
            logger.exception("%d rows of network %s failed", len(rows), rows[0].stage)
            return BROKEN

    def _next_states(self, states: Sequence[State]) -> list[State]:
        """Return the states with one slice more: of an image, or of a likelihood."""
        images = [state for state in states if isinstance(state, ImageState)]
        likelihoods = [state for state in states if isinstance(state, ScoreState)]
        generated = iter(self._sampler.advance(images) if images else ())
        scored = iter(self._sampler.score(likelihoods) if likelihoods else ())
        return [next(generated) if isinstance(state, ImageState) else next(scored) for state in states]

    def _publish(self, generated: Sequence[tuple[BatchRow, State]]) -> None:
        """Store the new states, and publish the slices of the jobs that this worker still holds."""
        slices = []
        for row, state in generated:
            job = self._jobs[row.job]
            job.advance(row.image, state)
            if not job.lease.lost:
                score = state.score if isinstance(state, ImageState) else None
                slices.append(NewSlice(lease=job.lease, image=row.image, progress=state.progress, score=score))
        self._publisher.append(slices)
        for row, _ in generated:
            self._jobs[row.job].suspect = False
