"""The measurement of rounds: how long each one took, and what it produced."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.cards import ModelCard
from models.config import Stage
from models.pipeline import ImageState, Pipeline, next_step
from worker.jobs.live_job import state_candidates, state_lanes


@dataclass(frozen=True, kw_only=True)
class Round:
    """One slice for each of `rows` images, in `lanes` lanes: `pixels` accepted in `passes` through the network of `stage`.

    Pixels count for every candidate. A slice with guidance has two lanes, but its pixels count once.
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
        measured = Round(
            stage=stage,
            rows=len(states),
            lanes=sum(state_lanes(state, self.card) for state in states),
            capacity=self.capacity,
            seconds=time.perf_counter() - started,
            pixels=candidates * self.card.config.geometry.positions,
            passes=engine.passes - passes,
        )
        for listener in self._listeners:
            listener(measured)
        return advanced
