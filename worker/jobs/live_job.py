"""A job in the batch: how it was delivered, who holds it, and how far its pictures are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from models.cards import ModelCard
from models.config import ANY, control_indices
from models.errors import ControlError
from models.pipeline import ImageState, next_step
from service.contract.lanes import slice_candidates, slice_lanes
from service.contract.record import Problem
from worker.jobs.lease import Lease
from worker.jobs.publish import Taken
from worker.scheduler import Row


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """One delivery of a job."""

    id: str
    job: str


@dataclass
class LiveJob:
    """A job in the batch: its pictures, how many slices each drew here, and how many rounds each has waited.

    `suspect`: a worker was lost with it, and it may be why. `card` is that of the worker's model.
    """

    ticket: Ticket
    lease: Lease
    card: ModelCard
    arrival: int
    states: list[ImageState]
    waited: list[int]
    suspect: bool
    drawn: list[int] = field(default_factory=list)
    problem: Problem | None = None

    def rows(self) -> Iterator[Row]:
        """The pictures that are not complete."""
        for image, state in enumerate(self.states):
            if step := state.progress.next:
                yield Row(
                    job=self.ticket.job,
                    image=image,
                    stage=step.stage,
                    drawn=self.drawn[image],
                    waited=self.waited[image],
                    arrival=self.arrival,
                    lanes=state_lanes(state, self.card),
                )

    @property
    def moved(self) -> bool:
        """Whether it has got a new slice here."""
        return any(self.drawn)

    @property
    def complete(self) -> bool:
        """Whether every picture is."""
        return all(state.progress.next is None for state in self.states)


def state_lanes(state: ImageState, card: ModelCard) -> int:
    """Return the lanes that the next slice of an unfinished image takes in a round."""
    return slice_lanes(card, next_step(state).stage, state.sampling, requested_controls(state, card))


def state_candidates(state: ImageState, card: ModelCard) -> int:
    """Return how many candidates the next slice of an unfinished image has."""
    return slice_candidates(card, next_step(state).stage, state.sampling, requested_controls(state, card))


def requested_controls(state: ImageState, card: ModelCard) -> list[str]:
    """Return the names of the controls that have a value."""
    pairs = zip(card.config.controls, state.controls, strict=True)
    return [control.name for control, index in pairs if index != ANY]


def initial_states(taken: Taken, card: ModelCard) -> list[ImageState]:
    """One state per picture, as far as it was drawn. Raises ControlError if the model has become another one."""
    request = taken.request
    if request.geometry != card.config.geometry:
        msg = f"asked for {request.geometry}, the model has {card.config.geometry}"
        raise ControlError(msg)
    return [
        ImageState(
            seed=request.seed + image,
            controls=control_indices(card.config.controls, asked),
            sampling=request.sampling,
            progress=taken.images.progress[image],
            score=taken.images.scores[image],
        )
        for image, asked in enumerate(request.controls)
    ]
