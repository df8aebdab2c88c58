"""Where the faults of images come from: `python -m benchmarks.levels MODEL --known 16 32 128`.

Real held-out images are known up to a level of an interlaced model, and the model samples the rest. The table has the share
of images whose faults are within the judge's bounds. With all levels known the depth network alone adds faults.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from models.config import Sampling, control_indices
from models.pipeline import ImageState, Pipeline
from models.subscale import Bytes, Progress
from training.data.symbols import DEFAULT, Pack
from training.judge import REFERENCES, load_pipeline
from training.judging.craft import FAULTS, Craft
from training.judging.glyphs import Glyphs
from training.judging.keepers import ImageKind, composed, kind_of, reference_images, within
from training.judging.observation import observe
from training.judging.reader import Reader
from training.judging.reader_training import reader_of
from training.scoring.samples import ControlValues, finish, grouped, temperatures
from training.scoring.scores import markdown

_SEED: Final = 5


def continued(
    pipeline: Pipeline, images: Sequence[Bytes], requests: Sequence[ControlValues], *, known: int, sampling: Sampling
) -> list[Bytes]:
    """Return the images whose coarse values are known up to the level of `known` pixels, with the rest sampled."""
    config = pipeline.card.config
    slices = (known // config.geometry.slice_size) ** 2
    states = [
        ImageState(
            seed=seed,
            controls=control_indices(config.controls, request),
            sampling=sampling,
            progress=Progress.of(image, config.geometry, slices),
        )
        for seed, (image, request) in enumerate(zip(images, requests, strict=True))
    ]
    return [state.progress.image() for group in grouped(states, pipeline.capacity) for state in finish(pipeline, group)]


def shares(
    reader: Reader, images: Sequence[Bytes], requests: Sequence[ControlValues], bounds: Mapping[ImageKind, Craft]
) -> list[str]:
    """Return the share of images within all bounds, and within each."""
    pairs = [
        (each.craft, bounds[kind_of(request)]) for each, request in zip(observe(reader, images), requests, strict=True)
    ]
    every = [np.mean([within(*pair) for pair in pairs])]
    every += [np.mean([getattr(found, fault) <= getattr(bound, fault) for found, bound in pairs]) for fault in FAULTS]
    return [f"{share:.0%}" for share in every]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Where the faults of images come from.")
    parser.add_argument("model", type=Path, help="folder of an interlaced model")
    parser.add_argument("--known", type=int, nargs="+", required=True, help="levels in pixels")
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--temperature", type=temperatures, help="default: that of the card")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = load_pipeline(options.model)
    size, pack = pipeline.card.config.geometry.size, Pack.read(DEFAULT)
    reader, glyphs = reader_of(Glyphs.train(pack)), Glyphs.held_out(pack)
    bounds = reference_images(reader, glyphs, count=REFERENCES, size=size).bounds()
    rng = np.random.default_rng(_SEED)
    images, requests = composed(rng, glyphs, rng.permutation(len(glyphs.labels))[: options.count], size=size)
    default = pipeline.card.sampling
    sampling = Sampling(temperature=options.temperature or default.temperature, guidance=default.guidance)
    rows = [["real images", *shares(reader, images, requests, bounds)]]
    for known in options.known:
        sampled = continued(pipeline, images, requests, known=known, sampling=sampling)
        rows.append([f"known up to {known}", *shares(reader, sampled, requests, bounds)])
    print(markdown(["", "within all bounds", *FAULTS], rows))


if __name__ == "__main__":
    main()
