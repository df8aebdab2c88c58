"""One side of `benchmarks.training`, run by path with any revision of this repository as its working directory.

It uses only what all revisions share. It prints one JSON line: seconds of each update and the loss curve.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.config import Control, Geometry, ModelConfig, Stage, Widths
from models.network import Network

try:
    from training.loop.recipe import Recipe
    from training.loop.trainer import Trainer
except ImportError:  # revisions before `training/loop/`
    from training.recipe import Recipe  # type: ignore[import-not-found, no-redef]
    from training.trainer import Trainer  # type: ignore[import-not-found, no-redef]

BATCH, KINDS = 16, 6


class Examples(NamedTuple):
    """A minibatch with the names that all revisions use."""

    images: Tensor
    controls: Tensor
    k: Tensor


def main() -> None:
    """Time updates of one network on the same examples in every revision."""
    stage, updates = Stage(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with suppress(ImportError):
        from training.loop.memory import keep_memory  # noqa: PLC0415 - newer revisions alone

        keep_memory()
    with suppress(ImportError):
        from training.memory import (  # type: ignore[import-not-found, no-redef]  # noqa: PLC0415 - before `training/loop/`
            keep_memory,
        )

        keep_memory()
    geometry = Geometry(size=64, slice_size=16)
    widths = Widths(width=96, blocks=4, heads=3, conv_width=48, embedder_blocks=2)
    controls = (Control(name="label", values=tuple("ABCDEF")),)
    config = ModelConfig(geometry=geometry, controls=controls, widths=dict.fromkeys(Stage, widths))
    trainer = Trainer(Network(config, stage), Recipe(batch=BATCH))
    rng = np.random.default_rng(0)
    seconds, bits = [], []
    for _ in range(updates):
        minibatch = example(rng, geometry, stage)
        begun = time.perf_counter()
        bits.append(trainer.update([minibatch], 1.0))  # type: ignore[list-item] # the class differs by revision
        seconds.append(time.perf_counter() - begun)
    print(json.dumps({"seconds": seconds, "bits": bits}))


def example(rng: np.random.Generator, geometry: Geometry, stage: Stage) -> Examples:
    """Return a minibatch: coloured gradients with a lighter bar, whose place is the label."""
    side = geometry.size
    labels = rng.integers(1, KINDS + 1, BATCH)
    images = np.empty((BATCH, side, side, geometry.channels), np.uint8)
    ramp = np.arange(side)[:, None, None] * rng.uniform(0, 1, (BATCH, 1, 1, 3)) + rng.integers(
        20, 130, (BATCH, 1, 1, 3)
    )
    images[:] = ramp.astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[8 * label : 8 * label + 6, 12:52] = 230
    ks = rng.choice([step.slice for step in geometry.steps if step.stage is stage], BATCH)
    return Examples(torch.from_numpy(images), torch.from_numpy(labels[:, None].astype(np.int64)), torch.from_numpy(ks))


if __name__ == "__main__":
    main()
