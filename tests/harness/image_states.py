"""Images to sample, and how to sample them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from models.config import Geometry, Sampling, Temperatures
from models.decoder import Conditioning
from models.pipeline import ImageState, Pipeline
from models.subscale import Progress

GEOMETRY = Geometry(size=8, slice_size=4)


def states(count: int, geometry: Geometry = GEOMETRY) -> list[ImageState]:
    """Return images that differ in seed, controls, temperatures by network, guidance and candidates."""
    return [
        ImageState(
            seed=s * 7919,
            controls=(s % 4, s % 3, s % 2),
            sampling=Sampling(
                temperature=Temperatures(base=0.7 + 0.1 * s, size=1.4 - 0.1 * s, depth=0.6 + 0.1 * s),
                guidance=(5.0, 1.0, 2.0)[s % 3],
                candidates=(3, 1)[s % 2],
            ),
            progress=Progress(geometry=geometry),
        )
        for s in range(count)
    ]


def finish(pipeline: Pipeline, rows: list[ImageState]) -> list[ImageState]:
    """Sample all slices."""
    while rows[0].progress.next:
        rows = pipeline.advance(rows)
    return rows


def images(rows: list[ImageState]) -> list[bytes]:
    """Return the pixels of each."""
    return [row.progress.image().tobytes() for row in rows]


def after(rows: list[ImageState], done: int) -> list[ImageState]:
    """Return the rows with `done` slices of random images, another for each seed."""
    geometry = rows[0].progress.geometry
    shape = (geometry.size, geometry.size, geometry.channels)

    def progress(seed: int) -> Progress:
        image = np.random.default_rng(seed).integers(0, 1 << geometry.bits, shape, dtype=np.uint8)
        return Progress.of(image, geometry, done)

    return [replace(row, progress=progress(row.seed)) for row in rows]


def last_steps(geometry: Geometry) -> list[int]:
    """Return how many slices are done before the last slice of each network: there it sees most."""
    stages = [step.stage for step in geometry.steps]
    return [len(stages) - 1 - stages[::-1].index(stage) for stage in geometry.stages]


def next_slices(pipeline: Pipeline, rows: list[ImageState], steps: Sequence[int]) -> list[bytes]:
    """Return the slices that follow `after` each of `steps`: a test of every network, in few passes."""
    sampled = [pipeline.advance(after(rows, done)) for done in steps]
    return [row.progress.slices[-1].tobytes() for each in sampled for row in each]


@torch.inference_mode()
def conditioned(pipeline: Pipeline, state: ImageState) -> list[Conditioning]:
    """Return what the next slice is conditioned on, (1, N, ...) for each lane in use."""
    first, *_ = pipeline.candidates(state)
    engine = pipeline.engines[first.step.stage]
    engine.backend.fill([0], [first])
    lanes = range(1 if first.unconditional is None else 2)
    return [Conditioning(*(part[[lane]] for part in engine.workspace.board.conditioning)) for lane in lanes]
