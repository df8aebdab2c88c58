"""One owner floods the queue, another sends single jobs: how many rounds these take, and what the flood loses."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from models.config import Geometry
from tests.worker.test_waiting import Job, LiveImage, Simulation

STEPS = Geometry(size=64, slice_size=16).steps
CAPACITY, FLOOD = 16, 16
JOBS = 300
"""A longer flood changes nothing but the time that this takes."""


@dataclass
class TwoOwners(Simulation):
    """Owner 0 has `queue`, owner 1 has `singles`; the queue takes owner 1's first, as one with few images."""

    singles: deque[Job] = field(default_factory=deque)
    of_owner_1: set[int] = field(default_factory=set)

    def owner(self, arrival: int) -> str:
        """By arrival; the next to arrive is a single job, if one waits."""
        return f"owner-{int(arrival in self.of_owner_1)}"

    def interactive(self, arrival: int) -> bool:
        """All jobs are."""
        return arrival >= 0

    def admit(self) -> None:
        """As `service/contract/queue.lua` orders two owners."""
        if self.singles:
            flood, self.queue = self.queue, self.singles
            self.of_owner_1.add(self.arrivals)
            super().admit()
            self.of_owner_1 -= set() if self.live and self.live[-1].arrival in self.of_owner_1 else {self.arrivals}
            self.queue = flood
        super().admit()


def rounds(simulation: TwoOwners, arrivals: set[int]) -> Iterator[tuple[int, list[LiveImage], list[LiveImage]]]:
    """Run until the flood has ended; yields the round, the rows that advance, and the images that are complete."""
    simulation.queue.extend([[0] * FLOOD] * JOBS)
    while simulation.queue or simulation.live:
        if simulation.clock in arrivals:
            simulation.singles.append([0])
        turn = simulation.turn()
        yield simulation.clock, turn.chosen, simulation.settle(turn)


def test_a_flood_delays_single_jobs_of_another_owner_by_two_rounds_and_loses_little() -> None:
    """The first slice within two rounds of the submit, the last within three times the rounds of a job alone."""
    flood_rounds = JOBS * FLOOD * len(STEPS) // CAPACITY
    dice = random.Random(3)  # noqa: S311 - a simulation
    arrivals = {dice.randrange(flood_rounds - 400) for _ in range(20)}
    simulation, first, last, end = TwoOwners(STEPS, CAPACITY), [], [], 0
    for clock, chosen, complete in rounds(simulation, arrivals):
        single = [each for each in chosen if each.arrival in simulation.of_owner_1]
        first += [clock - each.joined for each in single if each.generated == 1]
        last += [clock - each.joined for each in complete if each.arrival in simulation.of_owner_1]
        end = clock
    assert len(first) == len(last) == 20
    assert max(first) <= 2
    assert max(last) <= 3 * len(STEPS)
    assert median(last) <= 2 * len(STEPS)
    assert end < 1.05 * flood_rounds
