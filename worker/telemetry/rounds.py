"""The measurement of rounds: how long each one took, and what it produced."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.cards import ModelCard
from models.config import Stage
from models.pipeline import ImageState, Pipeline, next_step
from worker.device.exact_likelihood import scored
from worker.jobs.live_job import state_candidates, state_lanes
from worker.jobs.score_state import ScoreState


@dataclass(frozen=True, kw_only=True)
class Round:
    """One slice for each of `rows` images, in `lanes` lanes: `pixels` accepted in `passes` through the network of `stage`.

    Pixels count for every candidate. A slice with guidance has two lanes, but its pixels count once. A round of likelihoods
    accepts no pixels and has no passes.
    """

    stage: Stage
    rows: int
    lanes: int
    capacity: int
    seconds: float
    pixels: int
    passes: int


RoundListener = Callable[[Round], None]


class MeasuredSampler:
    """A pipeline that reports every round to all `listeners`; it reports no round that fails."""

    def __init__(self, pipeline: Pipeline, *listeners: RoundListener) -> None:
        self._pipeline, self._listeners = pipeline, listeners
        self.card: ModelCard = pipeline.card
        self.capacity: int = pipeline.capacity

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """Do as Pipeline.advance, and report the round."""
        stage = next_step(states[0]).stage
        engine = self._pipeline.engines[stage]
        started, passes = time.perf_counter(), engine.passes
        advanced = self._pipeline.advance(states)
        candidates = sum(state_candidates(state, self.card) for state in states)
        self._report(
            stage,
            rows=len(states),
            lanes=sum(state_lanes(state, self.card) for state in states),
            seconds=time.perf_counter() - started,
            pixels=candidates * self.card.config.geometry.positions,
            passes=engine.passes - passes,
        )
        return advanced

    def score(self, states: Sequence[ScoreState]) -> list[ScoreState]:
        """Do as `scored`, and report the round."""
        started = time.perf_counter()
        advanced = scored(self._pipeline, states)
        stage, seconds = last_stage(advanced[0]), time.perf_counter() - started
        self._report(stage, rows=len(states), lanes=len(states), seconds=seconds, pixels=0, passes=0)
        return advanced

    def _report(self, stage: Stage, *, rows: int, lanes: int, seconds: float, pixels: int, passes: int) -> None:  # noqa: PLR0913 - by keyword
        measured = Round(
            stage=stage,
            rows=rows,
            lanes=lanes,
            capacity=self.capacity,
            seconds=seconds,
            pixels=pixels,
            passes=passes,
        )
        for listener in self._listeners:
            listener(measured)


def last_stage(state: ScoreState) -> Stage:
    """Return the network of the last slice."""
    progress = state.progress
    return progress.geometry.steps[progress.done - 1].stage
