"""A job in the batch: its request, its lease, and the states of its images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from models.cards import ModelCard
from models.config import ANY, control_indices
from models.errors import ControlError
from models.pipeline import ImageState, next_step
from service.contract.lanes import slice_candidates, slice_lanes
from service.contract.likelihood import Likelihood
from service.contract.record import Problem
from service.contract.request import JobRequest, Priority
from worker.jobs.lease import Lease
from worker.jobs.publish import AcquiredJob
from worker.jobs.score_state import ScoreState
from worker.scheduler import BatchRow

State = ImageState | ScoreState
"""The state of an image of a job: one that is generated, or one whose likelihood is computed."""


@dataclass
class LiveJob:
    """A job in the batch.

    For each image: its state, the slices generated here, and the rounds waited since the last one. `card` is the card of the
    worker's model. `suspect`: an earlier worker was lost with the job, and the job may be the cause.
    """

    request: JobRequest
    lease: Lease
    card: ModelCard
    arrival: int
    states: list[State]
    suspect: bool
    problem: Problem | None = None
    generated: list[int] = field(init=False)
    waited: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.generated, self.waited = [0] * len(self.states), [0] * len(self.states)

    def rows(self) -> Iterator[BatchRow]:
        """Yield a row for each image that is not complete."""
        for image, state in enumerate(self.states):
            if step := state.progress.next:
                yield BatchRow(
                    job=self.id,
                    image=image,
                    stage=step.stage,
                    generated=self.generated[image],
                    waited=self.waited[image],
                    arrival=self.arrival,
                    lanes=state_lanes(state, self.card),
                    owner=self.request.owner,
                    interactive=self.interactive,
                )

    def advance(self, image: int, state: State) -> None:
        """Store the state of an image after a new slice."""
        self.states[image], self.waited[image] = state, 0
        self.generated[image] += 1

    @property
    def id(self) -> str:
        """The job's id."""
        return self.request.id

    @property
    def interactive(self) -> bool:
        """Whether a person waits for the job."""
        return self.request.priority is Priority.INTERACTIVE

    @property
    def progressed(self) -> bool:
        """Whether the job has a new slice from this worker."""
        return any(self.generated)

    @property
    def succeeds(self) -> bool:
        """Whether the job ends as succeeded: this worker holds it, it has no problem, and every image is complete."""
        held = not self.lease.lost and self.problem is None
        return held and all(state.progress.next is None for state in self.states)


def state_lanes(state: State, card: ModelCard) -> int:
    """Return the lanes that the next slice of an unfinished image takes in a round; a likelihood takes one."""
    if isinstance(state, ScoreState):
        return 1
    return slice_lanes(card, next_step(state).stage, state.sampling, requested_controls(state, card))


def state_candidates(state: ImageState, card: ModelCard) -> int:
    """Return how many candidates the next slice of an unfinished image has."""
    return slice_candidates(card, next_step(state).stage, state.sampling, requested_controls(state, card))


def requested_controls(state: ImageState, card: ModelCard) -> list[str]:
    """Return the names of the controls that have a value."""
    pairs = zip(card.config.controls, state.controls, strict=True)
    return [control.name for control, index in pairs if index != ANY]


def initial_states(acquired: AcquiredJob, card: ModelCard) -> list[State]:
    """Return one state per image, with the slices it already has. Raises ControlError if the model no longer fits the job."""
    request = acquired.request
    if request.geometry != card.config.geometry:
        msg = f"the job is for {request.geometry}, the model has {card.config.geometry}"
        raise ControlError(msg)
    return [
        initial_state(acquired, image, control_indices(card.config.controls, controls))
        for image, controls in enumerate(request.controls)
    ]


def initial_state(acquired: AcquiredJob, image: int, controls: tuple[int, ...]) -> State:
    """Return the state of one image."""
    request, progress = acquired.request, acquired.images.progress[image]
    if isinstance(progress, Likelihood):
        return ScoreState(controls=controls, progress=progress)
    return ImageState(
        seed=request.seed + image,
        controls=controls,
        sampling=request.sampling,
        progress=progress,
        score=acquired.images.scores[image],
    )
