"""When a job will have ended: an estimate from measured rounds, pure arithmetic over plain values.

A worker advances the pictures of one network together, as many as fit, one slice a round. So a picture needs as many
rounds as it has slices left; with more live pictures than fit, or pictures at several networks, its turn comes less often.
How long a round of so many rows lasts, publishing included, its worker
has measured. A base slice with candidates or guidance counts as several rows: its lanes. Jobs that arrive later are not
foreseen. The tests hold this
against a simulation of `worker.scheduler`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from models.config import Stage, Step
from service.contract.pace import Pace


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is left of a job, or of `jobs` alike: how many pictures each, and the steps left to the one furthest behind.

    `base_lanes`: lanes that a base slice of one picture takes in a round; any other slice takes one.
    """

    images: int
    steps: Sequence[Step]
    jobs: float = 1
    base_lanes: float = 1

    @property
    def live(self) -> float:
        """All pictures."""
        return self.jobs * self.images

    def lanes(self, step: Step) -> float:
        """Return the lanes of one picture at a step."""
        return self.base_lanes if step.stage is Stage.BASE else 1

    @property
    def next_lanes(self) -> float:
        """Lanes of all pictures at the next step."""
        return self.live * (self.lanes(self.steps[0]) if self.steps else 1)


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """One job and all that competes with it: what other running jobs have left, and what is queued.

    For a job that is not `begun` only the jobs before it count as queued.
    """

    pace: Pace | None
    workers: int
    job: Work
    running: Sequence[Work]
    queued: Sequence[Work] = ()
    begun: bool = True


def eta_seconds(state: QueueState) -> float | None:
    """Seconds until the job has ended; None while nobody draws or a network it needs was not measured lately."""
    pace, others = state.pace, (*state.running, *state.queued)
    needed = {step.stage for work in (state.job, *others) for step in work.steps}
    if pace is None or not state.workers or not needed <= pace.stages.keys():
        return None
    live = ceil(sum(work.live for work in others) / state.workers) + state.job.images
    ahead = sum(drain_seconds(work, pace, live) for work in others) / state.workers
    alone = alone_seconds(state.job, pace, live) + pace.job_seconds
    if not state.begun:
        return alone + ahead
    shared = sum(round_seconds(state.job, step, pace, live) for step in state.job.steps)
    return min(shared * slowdown(state, pace.capacity), alone + ahead)


def slowdown(state: QueueState, capacity: int) -> float:
    """Rounds of its worker until the job has advanced by one: networks take turns, and so do pictures too many."""
    here = (state.job, *state.running)
    jobs = ceil(sum(work.jobs for work in here) / state.workers)
    live = state.job.next_lanes + sum(work.next_lanes for work in state.running) / state.workers
    stages = {work.steps[0].stage for work in here if work.steps}
    return max(1.0, live / capacity, min(len(stages), jobs))


def round_seconds(work: Work, step: Step, pace: Pace, live: int) -> float:
    """Return the seconds of the round that advances its pictures by `step`, as full as `live` pictures make it."""
    lanes = work.lanes(step)
    return pace.round_seconds(step.stage, ceil(min(live * lanes, max(lanes, pace.capacity))))


def alone_seconds(work: Work, pace: Pace, live: int) -> float:
    """Return the seconds of its rounds one after the other, several for a step where its pictures do not fit in one."""
    return sum(
        round_seconds(work, step, pace, live) * max(1, work.images * work.lanes(step) / pace.capacity)
        for step in work.steps
    )


def drain_seconds(work: Work, pace: Pace, live: int) -> float:
    """Return its share of rounds that full, and what its jobs take beside them."""
    shares = (
        round_seconds(work, step, pace, live) * work.live / min(live, max(1, pace.capacity / work.lanes(step)))
        for step in work.steps
    )
    return sum(shares) + work.jobs * pace.job_seconds
