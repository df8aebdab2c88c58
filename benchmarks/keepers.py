"""Keepers of a model as PNG files: `python -m benchmarks.keepers FOLDER`.

A keeper is an image that the judge accepts (training/judging/keepers.py). Images are generated until the folder has
`--count` files. A second call continues where the first one ended.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image

from models.pipeline import Pipeline
from training.data.symbols import DEFAULT, Pack
from training.data.vocabulary import LABEL, TILE
from training.judge import REFERENCES, load_pipeline
from training.judging.craft import Craft
from training.judging.glyphs import Glyphs
from training.judging.judged_requests import judged_requests
from training.judging.keepers import ImageKind, is_keeper, reference_images
from training.judging.observation import observe
from training.judging.reader import Reader
from training.judging.reader_training import reader_of
from training.scoring.samples import ControlValues, samples

MODEL: Final = Path("models/weights/symbols-64")
EACH: Final = 4
"""Requests per label; they are in random order."""


def keepers(pipeline: Pipeline, folder: Path, *, count: int) -> None:
    """Add keepers to a folder until it has `count`. The name of a file has the seed and the controls of its image."""
    pack, size = Pack.read(DEFAULT), pipeline.card.config.geometry.size
    reader = reader_of(Glyphs.train(pack))
    bounds = reference_images(reader, Glyphs.held_out(pack), count=REFERENCES, size=size).bounds()
    requests = judged_requests(pipeline.card.config.controls, EACH)
    chosen = [each for each in requests if {LABEL.name, TILE.name} <= set(each)]
    order = np.random.default_rng(0).permutation(len(chosen))
    judged = folder / "judged"
    first = int(judged.read_text()) if judged.exists() else 0
    for start in range(first, len(order), pipeline.capacity):
        if len(list(folder.glob("*.png"))) >= count:
            return
        group = [chosen[place] for place in order[start : start + pipeline.capacity]]
        _add(folder, pipeline, reader, bounds, group, seed=start)
        judged.write_text(f"{start + len(group)}\n")


def _add(  # noqa: PLR0913, PLR0917 - what the judge needs
    folder: Path,
    pipeline: Pipeline,
    reader: Reader,
    bounds: Mapping[ImageKind, Craft],
    requests: list[ControlValues],
    seed: int,
) -> None:
    """Generate one image per request and write those that are keepers."""
    images = list(samples(pipeline, requests, seed=seed))
    for place, (request, image, seen) in enumerate(zip(requests, images, observe(reader, images), strict=True)):
        if is_keeper(request, seen, bounds):
            Image.fromarray(image).save(folder / f"{seed + place:04}-{'-'.join(request.values())}.png")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Write keepers of a model as PNG files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    keepers(load_pipeline(options.model), options.folder, count=options.count)


if __name__ == "__main__":
    main()
