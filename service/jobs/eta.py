"""Estimate of the seconds until a job ends: arithmetic over measured costs of rounds.

A round advances the images of one network by one slice, as many images as fit. So an image needs as many rounds as it
has slices left. It waits for its turn when more images are live than fit, or when others are at another network.
A base slice with candidates or guidance takes several lanes of a round. Jobs that arrive later are not known.
The tests compare the estimate with a simulation of `worker.scheduler`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from operator import itemgetter

from models.config import Stage, Step
from service.contract.pace import Pace


@dataclass(frozen=True, kw_only=True)
class Work:
    """Work left of a job, or of `jobs` equal jobs: images of each, and the steps of the image that is furthest behind.

    `base_lanes`: lanes that a base slice of one image takes in a round; any other slice takes one.
    """

    images: int
    steps: Sequence[Step]
    jobs: float = 1
    base_lanes: float = 1

    @cached_property
    def slices(self) -> Mapping[tuple[Stage, float], int]:
        """Return how many steps each network has, with the lanes of one image there."""
        return {(stage, self.lanes(stage)): count for stage, count in Counter(map(itemgetter(0), self.steps)).items()}

    @property
    def live(self) -> float:
        """Return the number of all images."""
        return self.jobs * self.images

    def lanes(self, stage: Stage) -> float:
        """Return the lanes of one image at a network."""
        return self.base_lanes if stage is Stage.BASE else 1

    @property
    def next_lanes(self) -> float:
        """Return the lanes of all images at the next step."""
        return self.live * (self.lanes(self.steps[0].stage) if self.steps else 1)


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """One job and the work that competes with it: other running jobs, and queued ones.

    For a job that is not `begun` only the jobs before it count as queued.
    """

    pace: Pace | None
    workers: int
    job: Work
    running: Sequence[Work]
    queued: Sequence[Work] = ()
    begun: bool = True


def eta_seconds(state: QueueState) -> float | None:
    """Return the seconds until the job ends; None without a worker, or if a network that it needs was not measured."""
    pace, others = state.pace, (*state.running, *state.queued)
    needed = {stage for work in (state.job, *others) for stage, _ in work.slices}
    if pace is None or not state.workers or not needed <= pace.stages.keys():
        return None
    live = ceil(sum(work.live for work in others) / state.workers) + state.job.images
    ahead = drain_seconds(others, pace, live) / state.workers
    alone = alone_seconds(state.job, pace, live) + pace.job_seconds
    if not state.begun:
        return alone + ahead
    shared = sum(count * round_seconds(*slices, pace, live) for slices, count in state.job.slices.items())
    return min(shared * slowdown(state, pace.capacity), alone + ahead)


def slowdown(state: QueueState, capacity: int) -> float:
    """Return the rounds of its worker until the job has advanced by one step.

    Networks take turns, and so do images when not all fit.
    """
    here = (state.job, *state.running)
    jobs = ceil(sum(work.jobs for work in here) / state.workers)
    live = state.job.next_lanes + sum(work.next_lanes for work in state.running) / state.workers
    stages = {work.steps[0].stage for work in here if work.steps}
    return max(1.0, live / capacity, min(len(stages), jobs))


def round_seconds(stage: Stage, lanes: float, pace: Pace, live: int) -> float:
    """Return the seconds of a round of `stage`, filled by `live` images of `lanes` lanes each."""
    return pace.round_seconds(stage, ceil(min(live * lanes, max(lanes, pace.capacity))))


def alone_seconds(work: Work, pace: Pace, live: int) -> float:
    """Return the seconds of all its rounds, several for a step whose images do not fit in one."""
    return sum(
        count * round_seconds(stage, lanes, pace, live) * max(1, work.images * lanes / pace.capacity)
        for (stage, lanes), count in work.slices.items()
    )


def drain_seconds(works: Iterable[Work], pace: Pace, live: int) -> float:
    """Return the seconds of their rounds together, each filled by `live` images, plus what their jobs take beside them."""
    images, jobs = defaultdict[tuple[Stage, float], float](float), 0.0
    for work in works:
        jobs += work.jobs
        for slices, count in work.slices.items():
            images[slices] += count * work.live
    rounds = sum(
        count * round_seconds(stage, lanes, pace, live) / min(live, max(1, pace.capacity / lanes))
        for (stage, lanes), count in images.items()
    )
    return rounds + jobs * pace.job_seconds
