"""The estimate, beside a simulation of workers that follow `worker.scheduler`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from models.config import Geometry, Stage
from service.contract import Pace, StagePace
from service.eta import Situation, Work, eta_seconds
from worker.batch import ROOM
from worker.scheduler import Row, choose

STEPS = Geometry(size=32, slice_size=16).steps
FIXED, PER_ROW = {Stage.BASE: 0.2, Stage.SIZE: 0.3, Stage.DEPTH: 0.5}, 0.1
"""Seconds of a round: so much, and this share of it more for each row. With 16 rows 2.4 times as long as alone."""

PACE = Pace(
    capacity=4,
    stages={stage: StagePace(round_seconds=seconds, row_seconds=seconds / 2) for stage, seconds in FIXED.items()},
)


def test_a_job_alone_takes_its_rounds() -> None:
    """One after the other, each as long as those measured; pictures that fit advance together."""
    job = Work(pictures=2, steps=STEPS)
    expected = sum(PACE.stages[step.stage].round_seconds for step in STEPS)
    assert eta_seconds(Situation(pace=PACE, workers=1, job=job, running=())) == pytest.approx(expected)


def test_only_what_is_left_counts() -> None:
    """The last slice takes one round."""
    job = Work(pictures=2, steps=STEPS[-1:])
    assert eta_seconds(Situation(pace=PACE, workers=1, job=job, running=())) == pytest.approx(FIXED[Stage.DEPTH])


def test_pictures_that_do_not_fit_take_turns() -> None:
    """Two jobs as large as the capacity: twice the rounds."""
    job = Work(pictures=4, steps=STEPS)
    alone = Situation(pace=PACE, workers=1, job=job, running=())
    shared = replace(alone, running=(job,))
    assert eta_seconds(shared) == pytest.approx(2 * (eta_seconds(alone) or 0))


def test_more_workers_shorten_the_queue() -> None:
    """What is ahead is shared among them."""
    job = Work(pictures=4, steps=STEPS)
    behind = Situation(pace=PACE, workers=1, job=job, running=(job,), queued=(job,) * 3, begun=False)
    alone = eta_seconds(replace(behind, running=(), queued=())) or 0
    assert eta_seconds(behind) == pytest.approx(5 * alone)
    assert eta_seconds(replace(behind, workers=4)) == pytest.approx(2 * alone)


@pytest.mark.parametrize(
    "unknown",
    [
        Situation(pace=None, workers=1, job=Work(pictures=1, steps=STEPS), running=()),
        Situation(pace=PACE, workers=0, job=Work(pictures=1, steps=STEPS), running=()),
        Situation(
            pace=Pace(capacity=4, stages={Stage.BASE: PACE.stages[Stage.BASE]}),
            workers=1,
            job=Work(pictures=1, steps=STEPS),
            running=(),
        ),
    ],
    ids=["nothing measured", "no worker", "a network not measured"],
)
def test_what_is_not_known_is_not_told(unknown: Situation) -> None:
    """No figure is better than a made-up one."""
    assert eta_seconds(unknown) is None


@dataclass
class Job:
    """A simulated job."""

    name: str
    pictures: int
    done: list[int] = field(default_factory=list)
    waited: list[int] = field(default_factory=list)
    ended: float | None = None

    def work(self) -> Work:
        """What is left."""
        return Work(pictures=self.pictures, steps=STEPS[min(self.done, default=0) :])


class SimulatedWorker:
    """Batches as worker.batch forms them, in simulated seconds."""

    def __init__(self, capacity: int, queue: list[Job]) -> None:
        self.capacity, self.queue = capacity, queue
        self.jobs: list[Job] = []
        self.now = 0.0
        self.rounds: list[tuple[Stage, float, int]] = []

    def rows(self) -> list[Row]:
        """The live pictures."""
        return [
            Row(job=str(j), image=i, stage=STEPS[done].stage, drawn=done, waited=job.waited[i], arrival=j)
            for j, job in enumerate(self.jobs)
            for i, done in enumerate(job.done)
            if done < len(STEPS)
        ]

    def round(self) -> None:
        """One slice for the rows whose turn it is."""
        while self.queue and len(self.rows()) < ROOM * self.capacity:
            job = self.queue.pop(0)
            job.done, job.waited = [0] * job.pictures, [0] * job.pictures
            self.jobs.append(job)
        rows = self.rows()
        for row in rows:
            self.jobs[int(row.job)].waited[row.image] += 1
        chosen = choose(rows, self.capacity)
        seconds = FIXED[chosen[0].stage] * (1 + PER_ROW * len(chosen)) if chosen else 0.1
        self.now += seconds
        for row in chosen:
            job = self.jobs[int(row.job)]
            job.done[row.image], job.waited[row.image] = row.drawn + 1, 0
            if min(job.done) == len(STEPS):
                job.ended = self.now
        if chosen:
            self.rounds.append((chosen[0].stage, seconds, len(chosen)))


def simulated(pictures: Sequence[int], *, capacity: int, workers: int, rounds: int) -> tuple[list[Job], float, Pace]:
    """`rounds` rounds into the drawing of jobs of so many pictures; then their estimates are due. Finishes them too."""
    raise NotImplementedError
