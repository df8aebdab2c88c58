"""The same images at two sizes, as PNG files: `python -m benchmarks.enlargements FOLDER`.

FOLDER/symbols-64 gets images of the smaller model, FOLDER/symbols-128 the same ones enlarged by the larger model. Then
`python -m benchmarks.vector --images FOLDER/symbols-128` shows what the size means for the vector form.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Final

import torch
from PIL import Image

from benchmarks.vector import STRAIGHT
from models.cards import WEIGHTS
from training.data.vocabulary import CONCEPTS, HUE, LABEL, STYLE, TILE, Style, Tile
from training.judge import load_pipeline
from training.scoring.samples import ControlValues, samples

SMALL: Final = "symbols-64"
LARGE: Final = "symbols-128"
_HUE_STRIDE: Final = 5


def requests(count: int) -> Iterator[ControlValues]:
    """Yield requests in all hues and on all tiles: every second one a straight letter without serifs, the others icons."""
    letters, concepts, tiles = (
        cycle(sorted(STRAIGHT)),
        cycle(CONCEPTS[:: max(1, len(CONCEPTS) * 2 // count)]),
        cycle(Tile),
    )
    for place in range(count):
        subject = (
            {LABEL.name: next(concepts)} if place % 2 else {LABEL.name: next(letters), STYLE.name: Style.SANS.value}
        )
        yield {**subject, HUE.name: HUE.values[place * _HUE_STRIDE % len(HUE.values)], TILE.name: next(tiles).value}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Write the same images at two sizes.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=96)
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = list(requests(options.count))
    small = samples(load_pipeline(WEIGHTS / SMALL), chosen)
    large = samples(load_pipeline(WEIGHTS / LARGE), chosen, starts=small)
    for name, images in ((SMALL, small), (LARGE, large)):
        folder = options.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        for place, (request, image) in enumerate(zip(chosen, images, strict=True)):
            Image.fromarray(image).save(folder / f"{place:04}-{'-'.join(request.values())}.png")


if __name__ == "__main__":
    main()
