"""How long pictures wait: the promises of `worker.scheduler`, held by simulation over thousands of random arrivals."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from models.config import Geometry, Stage, Step
from worker.batch import ROOM
from worker.scheduler import PATIENCE, Row, Scheduler

LARGEST = 16
"""Pictures of a job at most, by the HTTP contract."""

Job = list[int]
"""For each picture the slices given at its start."""


@dataclass
class Picture:
    """Where it stands; `company`: newcomers when it joined, itself counted."""

    arrival: int
    image: int
    given: int
    joined: int
    company: int = 0
    drawn: int = 0
    waited: int = 0


@dataclass
class Turn:
    """One round as it was before its slices: who was live, who was chosen."""

    live: list[Picture]
    chosen: list[Picture]
    rows: list[Row]
    batch: list[Row]


@dataclass
class Simulation:
    """A worker that admits and draws as `worker.batch` does; the clock counts rounds."""

    steps: tuple[Step, ...]
    capacity: int
    lanes: int = 1
    queue: deque[Job] = field(default_factory=deque)
    live: list[Picture] = field(default_factory=list)
    scheduler: Scheduler = field(default_factory=Scheduler)
    clock: int = 0
    arrivals: int = 0

    def turn(self) -> Turn:
        """One round."""
        self.admit()
        rows = [self.row(picture) for picture in self.live]
        batch = self.scheduler.choose(rows, self.capacity)
        keys = {(row.arrival, row.image) for row in batch}
        turn = Turn(self.live, [p for p in self.live if (p.arrival, p.image) in keys], rows, batch)
        self.clock += 1
        return turn

    def settle(self, turn: Turn) -> list[Picture]:
        """Give the chosen their slices; returns those that are complete."""
        for picture in self.live:
            picture.waited += 1
        for picture in turn.chosen:
            picture.drawn, picture.waited = picture.drawn + 1, 0
        complete = [picture for picture in turn.chosen if picture.given + picture.drawn == len(self.steps)]
        self.live = [picture for picture in self.live if picture not in complete]
        return complete

    def admit(self) -> None:
        """In the order of the queue, while there is room."""
        fresh: list[Picture] = []
        while self.queue and sum(map(self.row_lanes, self.live)) < ROOM * self.capacity:
            joining = [Picture(self.arrivals, i, given, self.clock) for i, given in enumerate(self.queue.popleft())]
            self.live, fresh, self.arrivals = self.live + joining, fresh + joining, self.arrivals + 1
        for picture in fresh:
            picture.company = sum(each.drawn == 0 for each in self.live)

    def row(self, picture: Picture) -> Row:
        """What the scheduler sees."""
        return Row(
            job=str(picture.arrival),
            image=picture.image,
            stage=self.steps[picture.given + picture.drawn].stage,
            drawn=picture.drawn,
            waited=picture.waited,
            arrival=picture.arrival,
            lanes=self.row_lanes(picture),
        )

    def row_lanes(self, picture: Picture) -> int:
        """1 to `lanes` at the base, by the job; 1 elsewhere."""
        base = self.steps[picture.given + picture.drawn].stage is Stage.BASE
        return picture.arrival % self.lanes + 1 if base else 1


def turns(lanes: int, capacity: int, networks: int = 3, dearest: int = 1) -> int:
    """Batches that pictures of at most `dearest` lanes, so many in all, need, however they are spread."""
    return (lanes + networks * (capacity - dearest)) // (capacity - dearest + 1)


def a_job(dice: random.Random, steps: tuple[Step, ...], *, given: bool) -> Job:
    """Mostly one picture; with `given`, some jobs go on from slices that exist."""
    pictures = dice.choice((1, 1, 1, 1, 2, 4, LARGEST))
    return [dice.randrange(len(steps)) if given and dice.random() < 0.2 else 0] * pictures


def crowd(simulation: Simulation, *, jobs: int, per_round: float, given: bool, seed: int) -> Iterator[Turn]:
    """All rounds until `jobs` random jobs have come, now and then in a burst, and all pictures are complete."""
    dice = random.Random(seed)  # noqa: S311 - a simulation
    while jobs or simulation.queue or simulation.live:
        arriving = 40 if dice.random() < 0.01 else sum(dice.random() < per_round / 4 for _ in range(4))
        for _ in range(min(arriving, jobs)):
            simulation.queue.append(a_job(dice, simulation.steps, given=given))
            jobs -= 1
        yield simulation.turn()


@pytest.mark.parametrize("per_round", [0.1, 0.5, 4.0], ids=["calm", "busy", "overload"])
@pytest.mark.parametrize("capacity", [4, 16])
@pytest.mark.parametrize("size", [4, 8, 16])
def test_nobody_waits_longer_than_is_stated(size: int, capacity: int, per_round: float) -> None:
    """Between two slices, for the first slice, and to the end: the three bounds hold for every picture, and all end."""
    simulation = Simulation(Geometry(size=size, slice_size=4).steps, capacity)
    lateness = PATIENCE + 2 * turns(ROOM * capacity + LARGEST - 1, capacity)
    ended = 0
    for turn in crowd(simulation, jobs=300, per_round=per_round, given=True, seed=size + capacity):
        for picture in turn.chosen:
            assert picture.waited < lateness
            assert picture.drawn or picture.waited <= 2 * turns(picture.company, capacity) - 1
        for picture in simulation.settle(turn):
            assert simulation.clock - picture.joined <= picture.drawn * lateness
            ended += 1
        assert max((picture.waited for picture in simulation.live), default=0) < lateness
    assert ended > 300


@pytest.mark.parametrize("dearest", [4, 16])
@pytest.mark.parametrize("per_round", [0.1, 4.0], ids=["calm", "overload"])
def test_candidates_starve_nobody(per_round: float, dearest: int) -> None:
    """The stated bounds with lanes: between two slices and to the end; and no round has more lanes than fit."""
    simulation = Simulation(Geometry(size=8, slice_size=4).steps, 16, lanes=dearest)
    live = ROOM * 16 + LARGEST * dearest - 1
    lateness, ended = PATIENCE + 2 * turns(live, 16, dearest=dearest), 0
    for turn in crowd(simulation, jobs=300, per_round=per_round, given=True, seed=dearest):
        assert sum(row.lanes for row in turn.batch) <= simulation.capacity
        assert all(picture.waited < lateness for picture in turn.chosen)
        for picture in simulation.settle(turn):
            assert simulation.clock - picture.joined <= picture.drawn * lateness
            ended += 1
    assert ended > 300


@pytest.mark.parametrize("per_round", [0.1, 0.5, 4.0], ids=["calm", "busy", "overload"])
def test_a_newcomers_first_slice_comes_with_the_next_batch_or_the_one_after(per_round: float) -> None:
    """The next one, unless the batch before was for newcomers too; so many as fit together."""
    simulation, welcomed, seen = Simulation(Geometry(size=16, slice_size=4).steps, 16), False, Counter[int]()
    for turn in crowd(simulation, jobs=1000, per_round=per_round, given=False, seed=1):
        newcomers = [picture for picture in turn.live if picture.drawn == 0]
        drawn = [picture for picture in turn.chosen if picture.drawn == 0]
        assert len(drawn) == min(len(newcomers), simulation.capacity) or welcomed
        for picture in drawn:
            assert picture.waited <= 2 * turns(picture.company, simulation.capacity, networks=1) - 1
        seen.update(picture.waited for picture in drawn if picture.company <= simulation.capacity)
        welcomed = bool(newcomers) and not welcomed
        simulation.settle(turn)
    assert seen[0] > 1000
    assert max(seen) <= 1


@pytest.mark.parametrize("per_round", [0.5, 4.0], ids=["busy", "overload"])
def test_every_batch_is_as_full_as_one_network_allows(per_round: float) -> None:
    """Whoever stands at the chosen network and fits is drawn; no round is left out while somebody is live."""
    simulation = Simulation(Geometry(size=8, slice_size=4).steps, 8)
    for turn in crowd(simulation, jobs=1000, per_round=per_round, given=True, seed=2):
        stages = {row.stage for row in turn.batch}
        assert len(stages) == bool(turn.rows)
        assert len(turn.batch) == min(simulation.capacity, sum(row.stage in stages for row in turn.rows))
        simulation.settle(turn)


@pytest.mark.parametrize("size", [8, 16])
def test_twice_as_many_pictures_as_fit_fill_the_batches(size: int) -> None:
    """With single pictures always waiting, 95 % of all seats are taken: networks are given time to collect."""
    simulation, seats, batches = Simulation(Geometry(size=size, slice_size=4).steps, 16), 0, 0
    while batches < 2000:
        simulation.queue.extend([[0]] * (ROOM * simulation.capacity - len(simulation.live)))
        turn = simulation.turn()
        seats, batches = seats + len(turn.batch), batches + 1
        simulation.settle(turn)
    assert seats > 0.95 * batches * simulation.capacity


def test_a_stream_of_newcomers_starves_nobody() -> None:
    """One for every batch, each complete with its first slice: a picture at another network still has its turns."""
    simulation = Simulation(Geometry(size=8, slice_size=4).steps, 4)
    simulation.queue.append([0])
    first_at_depth = 4
    for _ in range(first_at_depth * (PATIENCE + 2 * turns(2, 4))):
        simulation.queue.append([len(simulation.steps) - 1])
        simulation.settle(simulation.turn())
    assert all(picture.arrival or picture.drawn >= first_at_depth for picture in simulation.live)
