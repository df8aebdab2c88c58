"""What a score says of held-out images: `python -m benchmarks.oddness`.

Each image is scored as it is, with a block of another image pasted into it, and with a wrong label. The command prints whether
the costliest window of the heat map is the block, and whether the right label takes fewer bits. It writes a sheet.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from models.cards import WEIGHTS
from models.config import LABEL
from models.pipeline import Pipeline
from models.subscale import Bytes
from service.contract.likelihood import Likelihood, packed
from service.heat_map import heat_map
from training.data.symbols import ImageBatch, Symbols
from training.scoring.samples import tiled
from worker.device.exact_likelihood import scored
from worker.jobs.score_state import ScoreState

SHEET = Path("docs/score.png")
BLOCK = 8
"""Pixels along the pasted block, and along a window."""

ROWS = 8
"""Images of the sheet."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A held-out image, with a block pasted at (`row`, `column`), and their likelihoods; and that under a wrong label."""

    image: Bytes
    pasted: Bytes
    row: int
    column: int
    plain: Likelihood
    odd: Likelihood
    mislabelled: Likelihood

    def overlap(self, likelihood: Likelihood) -> float:
        """Return the share of the block that the window with the most bits covers."""
        windows = sliding_window_view(likelihood.bits_per_pixel(), (BLOCK, BLOCK)).sum((-1, -2))
        row, column = np.unravel_index(int(windows.argmax()), windows.shape)
        sides = (max(0, BLOCK - abs(int(row) - self.row)), max(0, BLOCK - abs(int(column) - self.column)))
        return sides[0] * sides[1] / BLOCK**2


def trial(pipeline: Pipeline, batch: ImageBatch, index: int, random: np.random.Generator) -> Trial:
    """Score one held-out image in its three forms. The block is the middle of another image, which has the wrong label."""
    image, controls = batch.images[index], batch.controls[index]
    side, names = image.shape[0], [control.name for control in pipeline.card.config.controls]
    label = names.index(LABEL)
    alike = batch.families == batch.families[index]  # a letter among letters, an icon among icons
    others = np.flatnonzero(alike & (batch.controls[:, label] != controls[label]))
    other = int(random.choice(others))
    row, column = (int(at) for at in random.integers(BLOCK, side - 2 * BLOCK, 2))
    middle = (side - BLOCK) // 2
    pasted = image.copy()
    block = batch.images[other][middle : middle + BLOCK, middle : middle + BLOCK]
    pasted[row : row + BLOCK, column : column + BLOCK] = block
    wrong = controls.copy()
    wrong[label] = batch.controls[other][label]
    forms = [(image, controls), (pasted, controls), (image, wrong)]
    plain, odd, mislabelled = likelihoods(pipeline, forms)
    return Trial(image=image, pasted=pasted, row=row, column=column, plain=plain, odd=odd, mislabelled=mislabelled)


def likelihoods(pipeline: Pipeline, forms: list[tuple[Bytes, NDArray[np.int64]]]) -> list[Likelihood]:
    """Return the likelihoods of images of bytes under their controls."""
    geometry = pipeline.card.config.geometry
    states = [
        ScoreState(
            controls=tuple(int(each) for each in controls),
            progress=Likelihood.blank(packed(image >> np.uint8(8 - geometry.bits)), geometry),
        )
        for image, controls in forms
    ]
    for _ in geometry.steps:
        states = scored(pipeline, states)
    return [state.progress for state in states]


def figures(trials: list[Trial]) -> dict[str, float]:
    """Return shares of the trials, and mean bits."""
    bits = {name: np.array([sum(getattr(each, name).bits_of_slices()) for each in trials]) for name in FORMS}
    return {
        "images": len(trials),
        "costliest_window_covers_half_of_the_block": share([each.overlap(each.odd) for each in trials]),
        "the_same_before_it_was_pasted": share([each.overlap(each.plain) for each in trials]),
        "block_raises_the_bits": round(float((bits["odd"] > bits["plain"]).mean()), 3),
        "right_label_takes_fewer_bits": round(float((bits["mislabelled"] > bits["plain"]).mean()), 3),
        **{f"mean_bits_{name}": round(float(each.mean())) for name, each in bits.items()},
    }


FORMS = ("plain", "odd", "mislabelled")


def share(overlaps: list[float]) -> float:
    """Return the share of overlaps of at least one half."""
    return round(float(np.mean([each >= 1 / 2 for each in overlaps])), 3)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="What a score says of held-out images.")
    parser.add_argument("--model", default="symbols-64")
    parser.add_argument("--images", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = Pipeline.load(WEIGHTS / args.model)
    held = Symbols.load(size=pipeline.card.config.geometry.size).held_out()
    random = np.random.default_rng(0)
    chosen = random.choice(len(held.images), args.images, replace=False)
    trials = [trial(pipeline, held, int(index), random) for index in chosen]
    print(json.dumps(figures(trials), indent=1))
    sheet = [each for one in trials[:ROWS] for each in (one.image, heat_map(one.plain), one.pasted, heat_map(one.odd))]
    Image.fromarray(tiled(np.stack(sheet), columns=8, scale=2)).save(SHEET, optimize=True)


if __name__ == "__main__":
    main()
