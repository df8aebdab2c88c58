"""How long images wait: the promises of `worker.scheduler`, held by simulation over thousands of random arrivals."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from models.config import Geometry, Stage, Step
from worker.batch import NEWCOMER_ROOM, ROOM
from worker.scheduler import WAIT_LIMIT_ROUNDS, BatchRow, Scheduler

LARGEST = 16
"""Pictures of a job at most, by the HTTP contract."""

Job = list[int]
"""For each image the slices given at its start."""


@dataclass
class LiveImage:
    """Where it stands; `company`: newcomers when it joined, itself counted."""

    arrival: int
    image: int
    given: int
    joined: int
    company: int = 0
    generated: int = 0
    waited: int = 0


@dataclass
class Turn:
    """One round as it was before its slices: who was live, who was chosen."""

    live: list[LiveImage]
    chosen: list[LiveImage]
    rows: list[BatchRow]
    batch: list[BatchRow]


@dataclass
class Simulation:
    """A worker that admits and draws as `worker.batch` does; the clock counts rounds."""

    steps: tuple[Step, ...]
    capacity: int
    lanes: int = 1
    owners: int = 1
    queue: deque[Job] = field(default_factory=deque)
    live: list[LiveImage] = field(default_factory=list)
    scheduler: Scheduler = field(default_factory=Scheduler)
    clock: int = 0
    arrivals: int = 0

    def turn(self) -> Turn:
        """One round."""
        self.admit()
        rows = [self.row(live_image) for live_image in self.live]
        batch = self.scheduler.choose(rows, self.capacity)
        keys = {(row.arrival, row.image) for row in batch}
        turn = Turn(self.live, [p for p in self.live if (p.arrival, p.image) in keys], rows, batch)
        self.clock += 1
        return turn

    def settle(self, turn: Turn) -> list[LiveImage]:
        """Give the chosen their slices; returns those that are complete."""
        for live_image in self.live:
            live_image.waited += 1
        for live_image in turn.chosen:
            live_image.generated, live_image.waited = live_image.generated + 1, 0
        complete = [
            live_image for live_image in turn.chosen if live_image.given + live_image.generated == len(self.steps)
        ]
        self.live = [live_image for live_image in self.live if live_image not in complete]
        return complete

    def admit(self) -> None:
        """In the order of the queue, while there is room."""
        fresh: list[LiveImage] = []
        while self.queue and self.has_room():
            joining = [LiveImage(self.arrivals, i, given, self.clock) for i, given in enumerate(self.queue.popleft())]
            self.live, fresh, self.arrivals = self.live + joining, fresh + joining, self.arrivals + 1
        for live_image in fresh:
            live_image.company = sum(each.generated == 0 for each in self.live)

    def has_room(self) -> bool:
        """For the next job; more for one of an owner with less than a full round."""
        lanes = sum(map(self.row_lanes, self.live))
        if lanes < ROOM * self.capacity:
            return True
        own = (each for each in self.live if self.owner(each.arrival) == self.owner(self.arrivals))
        few = sum(self.row_lanes(each) for each in own if self.interactive(each.arrival)) < self.capacity
        return lanes < NEWCOMER_ROOM * self.capacity and few and self.interactive(self.arrivals)

    def owner(self, arrival: int) -> str:
        """The first has most of the jobs."""
        return f"owner-{arrival % (2 * self.owners) if arrival % (2 * self.owners) < self.owners else 0}"

    def interactive(self, arrival: int) -> bool:
        """Every fifth job of several owners is not."""
        return self.owners == 1 or arrival % 5 > 0

    def row(self, live_image: LiveImage) -> BatchRow:
        """What the scheduler sees."""
        return BatchRow(
            job=str(live_image.arrival),
            image=live_image.image,
            stage=self.steps[live_image.given + live_image.generated].stage,
            generated=live_image.generated,
            waited=live_image.waited,
            arrival=live_image.arrival,
            lanes=self.row_lanes(live_image),
            owner=self.owner(live_image.arrival),
            interactive=self.interactive(live_image.arrival),
        )

    def row_lanes(self, live_image: LiveImage) -> int:
        """1 to `lanes` at the base, by the job; 1 elsewhere."""
        base = self.steps[live_image.given + live_image.generated].stage is Stage.BASE
        return live_image.arrival % self.lanes + 1 if base else 1


def turns(lanes: int, capacity: int, networks: int = 3, dearest: int = 1) -> int:
    """Batches that images of at most `dearest` lanes, so many in all, need, however they are spread."""
    return (lanes + networks * (capacity - dearest)) // (capacity - dearest + 1)


def a_job(dice: random.Random, steps: tuple[Step, ...], *, given: bool) -> Job:
    """Mostly one image; with `given`, some jobs go on from slices that exist."""
    live_images = dice.choice((1, 1, 1, 1, 2, 4, LARGEST))
    return [dice.randrange(len(steps)) if given and dice.random() < 0.2 else 0] * live_images


def crowd(simulation: Simulation, *, jobs: int, per_round: float, given: bool, seed: int) -> Iterator[Turn]:
    """All rounds until `jobs` random jobs have come, now and then in a burst, and all images are complete."""
    dice = random.Random(seed)  # noqa: S311 - a simulation
    while jobs or simulation.queue or simulation.live:
        arriving = 40 if dice.random() < 0.01 else sum(dice.random() < per_round / 4 for _ in range(4))
        for _ in range(min(arriving, jobs)):
            simulation.queue.append(a_job(dice, simulation.steps, given=given))
            jobs -= 1
        yield simulation.turn()


@pytest.mark.parametrize("per_round", [0.1, 0.5, 4.0], ids=["calm", "busy", "overload"])
@pytest.mark.parametrize("capacity", [4, 16])
@pytest.mark.parametrize(("size", "owners"), [(4, 1), (8, 1), (16, 1), (16, 4)])
def test_nobody_waits_longer_than_is_stated(size: int, owners: int, capacity: int, per_round: float) -> None:
    """Between two slices, for the first slice, and to the end: the three bounds hold for every image, and all end."""
    simulation = Simulation(Geometry(size=size, slice_size=4).steps, capacity, owners=owners)
    room = ROOM if owners == 1 else NEWCOMER_ROOM
    lateness = WAIT_LIMIT_ROUNDS + 2 * turns(room * capacity + LARGEST - 1, capacity)
    ended = 0
    for turn in crowd(simulation, jobs=300, per_round=per_round, given=True, seed=size + capacity):
        for live_image in turn.chosen:
            assert live_image.waited < lateness
            new = live_image.generated == 0 and simulation.interactive(live_image.arrival)
            assert not new or live_image.waited <= 2 * turns(live_image.company, capacity) - 1
        for live_image in simulation.settle(turn):
            assert simulation.clock - live_image.joined <= live_image.generated * lateness
            ended += 1
        assert max((live_image.waited for live_image in simulation.live), default=0) < lateness
    assert ended > 300


@pytest.mark.parametrize("dearest", [4, 16])
@pytest.mark.parametrize("per_round", [0.1, 4.0], ids=["calm", "overload"])
def test_candidates_starve_nobody(per_round: float, dearest: int) -> None:
    """The stated bounds with lanes: between two slices and to the end; and no round has more lanes than fit."""
    simulation = Simulation(Geometry(size=8, slice_size=4).steps, 16, lanes=dearest)
    live = ROOM * 16 + LARGEST * dearest - 1
    lateness, ended = WAIT_LIMIT_ROUNDS + 2 * turns(live, 16, dearest=dearest), 0
    for turn in crowd(simulation, jobs=300, per_round=per_round, given=True, seed=dearest):
        assert sum(row.lanes for row in turn.batch) <= simulation.capacity
        assert all(live_image.waited < lateness for live_image in turn.chosen)
        for live_image in simulation.settle(turn):
            assert simulation.clock - live_image.joined <= live_image.generated * lateness
            ended += 1
    assert ended > 300


@pytest.mark.parametrize("per_round", [0.1, 0.5, 4.0], ids=["calm", "busy", "overload"])
def test_a_newcomers_first_slice_comes_with_the_next_batch_or_the_one_after(per_round: float) -> None:
    """The next one, unless the batch before was for newcomers too; so many as fit together."""
    simulation, welcomed, seen = Simulation(Geometry(size=16, slice_size=4).steps, 16), False, Counter[int]()
    for turn in crowd(simulation, jobs=1000, per_round=per_round, given=False, seed=1):
        newcomers = [live_image for live_image in turn.live if live_image.generated == 0]
        generated = [live_image for live_image in turn.chosen if live_image.generated == 0]
        assert len(generated) == min(len(newcomers), simulation.capacity) or welcomed
        for live_image in generated:
            assert live_image.waited <= 2 * turns(live_image.company, simulation.capacity, networks=1) - 1
        seen.update(live_image.waited for live_image in generated if live_image.company <= simulation.capacity)
        welcomed = bool(newcomers) and not welcomed
        simulation.settle(turn)
    assert seen[0] > 1000
    assert max(seen) <= 1


@pytest.mark.parametrize("per_round", [0.5, 4.0], ids=["busy", "overload"])
def test_every_batch_is_as_full_as_one_network_allows(per_round: float) -> None:
    """Every row of the chosen network that fits advances; no round is empty while there are rows."""
    simulation = Simulation(Geometry(size=8, slice_size=4).steps, 8)
    for turn in crowd(simulation, jobs=1000, per_round=per_round, given=True, seed=2):
        stages = {row.stage for row in turn.batch}
        assert len(stages) == bool(turn.rows)
        assert len(turn.batch) == min(simulation.capacity, sum(row.stage in stages for row in turn.rows))
        simulation.settle(turn)


@pytest.mark.parametrize("size", [8, 16])
def test_twice_as_many_images_as_fit_fill_the_batches(size: int) -> None:
    """With single images always waiting, 95 % of all seats are taken: networks are given time to collect."""
    simulation, seats, batches = Simulation(Geometry(size=size, slice_size=4).steps, 16), 0, 0
    while batches < 2000:
        simulation.queue.extend([[0]] * (ROOM * simulation.capacity - len(simulation.live)))
        turn = simulation.turn()
        seats, batches = seats + len(turn.batch), batches + 1
        simulation.settle(turn)
    assert seats > 0.95 * batches * simulation.capacity


def test_a_stream_of_newcomers_starves_nobody() -> None:
    """One for every batch, each complete with its first slice: an image at another network still has its turns."""
    simulation = Simulation(Geometry(size=8, slice_size=4).steps, 4)
    simulation.queue.append([0])
    first_at_depth = 4
    for _ in range(first_at_depth * (WAIT_LIMIT_ROUNDS + 2 * turns(2, 4))):
        simulation.queue.append([len(simulation.steps) - 1])
        simulation.settle(simulation.turn())
    assert all(live_image.arrival or live_image.generated >= first_at_depth for live_image in simulation.live)
