"""Queue position of a job and estimate of its end. At most one round trip to Redis per estimate.

The position counts the jobs that would start before this one if no other came (service/contract/queue.lua).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from math import inf
from typing import TYPE_CHECKING, Any, Self

from models.config import Step
from service.contract.pace import Pace
from service.contract.record import JobRecord
from service.contract.redis_keys import (
    RETURNED,
    owners_key,
    pace_key,
    queued_key,
    running_key,
    waiting_key,
    workers_key,
)
from service.contract.registrations import live_workers
from service.contract.request import Priority
from service.contract.statuses import Status
from service.jobs.eta import QueueState, Work, eta_seconds

if TYPE_CHECKING:
    from redis.asyncio import Redis

SAMPLE = 32
"""Competing jobs that are read. Others are assumed to be like these, so that a poll costs the same in a long queue."""

SHARED_SECONDS = 0.2
"""Time for which polls share what was read of the jobs that compete. It changes once a round, and is most of the work."""

STALE_SECONDS = 2.0
"""Time for which polls use it at most while another one reads anew: all polls that a round wakes come at once."""

SCRIPT = files("service.jobs").joinpath("queue_state.lua").read_text()


@dataclass(frozen=True, kw_only=True)
class QueueEstimate:
    """Estimate for one job: 1 for the next to start, None once started; seconds until the end, None if unknown."""

    queue_position: int | None = None
    eta_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Backlog of a model: jobs that wait, jobs that were started, live workers."""

    queued: int
    running: int
    workers: int


@dataclass(frozen=True, kw_only=True)
class Competition:
    """What jobs of a model compete with, as it was read at `read_at` by the monotonic clock.

    `begun` and `waiting` count the jobs of which `running` and `queued` are the first rows.
    """

    pace: Pace | None
    workers: int
    begun: int
    running: Sequence[Any]
    waiting: int
    queued: Sequence[Any]
    read_at: float

    @classmethod
    def of(cls, answers: Sequence[Any], read_at: float) -> Self:
        """Read the script's reply, without its first item."""
        pace, clock, registrations, (begun, running), (waiting, queued) = answers
        workers = zip(registrations[::2], registrations[1::2], strict=True)
        return cls(
            pace=Pace.decode(dict(zip(pace[::2], pace[1::2], strict=True))),
            workers=len(live_workers(workers, clock)),
            begun=begun,
            running=running,
            waiting=waiting,
            queued=queued,
            read_at=read_at,
        )

    def with_rows_of(self, shared: Self) -> Self:
        """Return this with the rows of `shared` for each list that was counted and not read."""
        running, queued = self.begun and not self.running, self.waiting and not self.queued
        return replace(
            self,
            running=shared.running if running else self.running,
            queued=shared.queued if queued else self.queued,
            read_at=shared.read_at if running or queued else self.read_at,
        )


class QueueEstimates:
    """Estimates for jobs, and backlogs of models."""

    def __init__(self, client: Redis) -> None:
        self._client, self._script = client, client.register_script(SCRIPT)
        self._competition: dict[str, Competition] = {}
        self._reading: set[str] = set()

    async def of(self, record: JobRecord) -> QueueEstimate:
        """Return the estimate for the job of `record`. Raises redis' ConnectionError."""
        if record.status.final:
            return QueueEstimate()
        place, competition = await self._read(record)
        seconds = eta_seconds(queue_state(record, competition, place=place))
        return QueueEstimate(
            queue_position=None if place is None else sum(place) + 1,
            eta_seconds=None if seconds is None else round(seconds, 1),
        )

    async def _read(self, record: JobRecord) -> tuple[Sequence[int] | None, Competition]:
        """Return the place of a job that waits, else None, and what competes with it.

        A job that waits asks Redis for its place and for how many jobs compete, and shares the rows.
        """
        model, waits = record.request.model, record.status is Status.QUEUED
        shared = self._shared(model)
        if shared and not waits:
            return None, shared
        if shared is None:
            self._reading.add(model)
        try:
            read_at = time.monotonic()
            place, *answers = await self._ask(record, shared)
        finally:
            if shared is None:
                self._reading.discard(model)
        found = Competition.of(answers, read_at)
        if shared:
            found = found.with_rows_of(shared)
        if found.read_at >= self._read_at(model):
            self._competition[model] = found
        return place if waits else None, found

    def _shared(self, model: str) -> Competition | None:
        """Return what was read lately of the jobs of a model."""
        seconds = STALE_SECONDS if model in self._reading else SHARED_SECONDS
        return self._competition[model] if time.monotonic() - self._read_at(model) < seconds else None

    def _read_at(self, model: str) -> float:
        known = self._competition.get(model)
        return known.read_at if known else -inf

    async def _ask(self, record: JobRecord, shared: Competition | None) -> Any:  # noqa: ANN401 - of redis-py
        model = record.request.model
        lists = [key(model) for key in (owners_key, pace_key, workers_key, running_key, queued_key)]
        known = (len(shared.running), len(shared.queued)) if shared else (0, 0)
        args = (waiting_key(model, ""), RETURNED, record.request.owner, record.request.id, SAMPLE, *known)
        return await self._script(keys=lists, args=args)

    async def backlogs(self, models: Sequence[str]) -> dict[str, Backlog]:
        """Return the backlog of each model. Raises redis' ConnectionError."""
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.time()
            for model in models:
                pipeline.zcard(queued_key(model))
                pipeline.zcard(running_key(model))
                pipeline.zrange(workers_key(model), 0, -1, withscores=True)
            clock, *answers = await pipeline.execute()
        return {
            model: Backlog(queued=queued, running=running, workers=len(live_workers(workers, clock)))
            for model, queued, running, workers in zip(models, answers[::3], answers[1::3], answers[2::3], strict=True)
        }


def queue_state(record: JobRecord, found: Competition, *, place: Sequence[int] | None) -> QueueState:
    """Return the state of a job and its competition.

    `place`: the jobs of the owner, and of others, that wait before this one; None once it is started. The first job of
    an owner that has none in a worker joins at once (`worker.batch.NEWCOMER_ROOM`).
    """
    steps, job, owner = record.request.geometry.steps, record.request.id, record.request.owner.encode()
    newcomer = record.request.priority is Priority.INTERACTIVE and all(row[1] != owner for row in found.running)
    ahead = None if place is None else sum(place)
    return QueueState(
        pace=found.pace,
        workers=found.workers,
        job=Work(
            images=record.request.num_images, steps=steps[min(record.done) :], base_lanes=record.request.base_lanes
        ),
        running=others(found.running, steps, total=found.begun, job=job),
        queued=others(found.queued[:ahead], steps, total=found.waiting if ahead is None else ahead, job=job),
        begun=place is None or (place[0] == 0 and newcomer),
    )


def others(rows: Sequence[Any], steps: Sequence[Step], *, total: int, job: str) -> tuple[Work, ...]:
    """Return the work left of the jobs of `rows`, a sample of `total`. A record of another release counts for nothing."""
    jobs = total / len(rows) if rows else 1
    return tuple(
        work
        for name, _, *fields in rows
        if name.decode() != job and (work := work_left(*fields, steps=steps, jobs=jobs))
    )


def work_left(
    images: bytes | None, done: bytes | None, lanes: bytes | None, *, steps: Sequence[Step], jobs: float
) -> Work | None:
    """Return the work left of a job, at least one step; None if its fields are missing or not numbers."""
    try:
        return Work(
            images=int(images or b""),
            steps=steps[min(int(done or b""), len(steps) - 1) :],
            jobs=jobs,
            base_lanes=float(lanes or 1),
        )
    except ValueError:
        return None
