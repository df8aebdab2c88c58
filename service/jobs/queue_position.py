"""Queue position of a job and estimate of its end. One round trip to Redis per estimate.

The position counts the jobs that would start before this one if no other came (service/contract/queue.lua).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from models.config import Step
from service.contract.pace import Pace
from service.contract.record import JobRecord
from service.contract.redis_keys import (
    RETURNED,
    Keys,
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

FIELDS = ("owner", "num_images", "done:0", "lanes")
COMPETITOR = ["#", *(f"{Keys(id='*', model='').record}->{field}" for field in FIELDS)]
"""Fields that SORT reads of each: id, owner, images, slices of its first image, lanes of a base slice."""

PLACE = files("service.jobs").joinpath("queue_position.lua").read_text()


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


class QueueEstimates:
    """Estimates for jobs, and backlogs of models."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def of(self, record: JobRecord) -> QueueEstimate:
        """Return the estimate for the job of `record`. Raises redis' ConnectionError."""
        if record.status.final:
            return QueueEstimate()
        model, job = record.request.model, record.request.id
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.eval(PLACE, 1, owners_key(model), waiting_key(model, ""), RETURNED, record.request.owner, job)
            pipeline.hgetall(pace_key(model))
            pipeline.time()
            pipeline.zrange(workers_key(model), 0, -1, withscores=True)
            for key in (running_key(model), queued_key(model)):
                pipeline.zcard(key)
                pipeline.sort(key, 0, SAMPLE, by="nosort", get=COMPETITOR, groups=True)
            place, *answers = usable(await pipeline.execute(raise_on_error=False))
        waits = record.status is Status.QUEUED and place is not None
        known = None not in answers
        seconds = eta_seconds(queue_state(record, answers, place=place if waits else None)) if known else None
        return QueueEstimate(
            queue_position=sum(place) + 1 if waits else None,
            eta_seconds=None if seconds is None else round(seconds, 1),
        )

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


def usable(answers: Sequence[Any]) -> list[Any]:
    """Return the replies, None for each SORT that Redis refuses.

    It counts SORT as a write, and refuses it when its memory or disk is full. Other errors are raised.
    """
    for answer in answers:
        if isinstance(answer, RedisError) and not isinstance(answer, ResponseError):
            raise answer
    return [None if isinstance(answer, ResponseError) else answer for answer in answers]


def queue_state(record: JobRecord, answers: Sequence[Any], *, place: Sequence[int] | None) -> QueueState:
    """Return the state from Redis' replies.

    `place`: the jobs of the owner, and of others, that wait before this one; None once it is started. The first job of
    an owner that has none in a worker joins at once (`worker.batch.NEWCOMER_ROOM`).
    """
    pace, clock, workers, begun, running, waiting, queued = answers
    steps, job, owner = record.request.geometry.steps, record.request.id, record.request.owner.encode()
    newcomer = record.request.priority is Priority.INTERACTIVE and all(row[1] != owner for row in running)
    ahead = None if place is None else sum(place)
    return QueueState(
        pace=Pace.decode(pace),
        workers=len(live_workers(workers, clock)),
        job=Work(
            images=record.request.num_images, steps=steps[min(record.done) :], base_lanes=record.request.base_lanes
        ),
        running=others(running, steps, total=begun, job=job),
        queued=others(queued[:ahead], steps, total=waiting if ahead is None else ahead, job=job),
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
