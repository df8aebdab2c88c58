"""Rounds, measured: a sampler that tells how long each one took and how much it brought."""

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
    """One slice for each of `rows` pictures, in `lanes`: `pixels` accepted in `passes` through the network of `stage`.

    Pixels are those of all candidates; a slice that is guided has two lanes, but its pixels count once.
    """

    stage: Stage
    rows: int
    lanes: int
    capacity: int
    seconds: float
    pixels: int
    passes: int


Told = Callable[[Round], None]


class MeasuredSampler:
    """A pipeline whose every finished round is told to all of `told`; one that fails is not."""

    def __init__(self, pipeline: Pipeline, *told: Told) -> None:
        self._pipeline, self._told = pipeline, told
        self.card: ModelCard = pipeline.card
        self.capacity: int = pipeline.capacity

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """As Pipeline.advance."""
        stage = next_step(states[0]).stage
        engine = self._pipeline.engines[stage]
        began, passed = time.perf_counter(), engine.passes
        drawn = self._pipeline.advance(states)
        candidates = sum(state_candidates(state, self.card) for state in states)
        measured = Round(
            stage=stage,
            rows=len(states),
            lanes=sum(state_lanes(state, self.card) for state in states),
            capacity=self.capacity,
            seconds=time.perf_counter() - began,
            pixels=candidates * self.card.config.geometry.positions,
            passes=engine.passes - passed,
        )
        for tell in self._told:
            tell(measured)
        return drawn
