"""Held-out bits/dim per stage, joint and by family, beside codecs: `python -m training.evaluate models/weights/symbols-64`.

The sum is over every slice of every image with all its bits. bits/dim is over all H * W * C sub-pixels, and the stages are
additive shares of it. All computation is in float32.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from models.checkpoint import load_model
from models.config import Geometry, Stage
from training.data.opening import add_data_arguments, open_dataset
from training.data.symbols import ImageBatch
from training.scoring.bits import split
from training.scoring.plots import plot
from training.scoring.scores import painted_table, scores_of, table

CHUNK: Final = 8
"""Slices at once. One CPU core computes 115 slices of 16 x 16 per second in chunks of 8, and 80 in chunks of 64."""


@torch.inference_mode()
def shares(
    networks: nn.ModuleDict,
    geometry: Geometry,
    batch: ImageBatch,
    *,
    stages: Sequence[Stage] | None = None,
    chunk: int = CHUNK,
) -> dict[Stage, NDArray[np.float64]]:
    """Return the share of each stage in bits/dim for each image of `batch`: stage -> (B,) float64; by default all stages."""
    device = next(networks.parameters()).device
    steps = [step for step in geometry.steps if stages is None or step.stage in stages]
    total = {step.stage: np.zeros(len(batch.images)) for step in steps}
    starts = range(0, len(batch.images), chunk)
    with tqdm(total=len(steps) * len(batch.images), desc="held-out", unit="slice", leave=False) as bar:
        for start in starts:
            rows = slice(start, start + chunk)
            coarse, fine = split(torch.from_numpy(batch.images[rows]).to(device), geometry)
            controls = torch.from_numpy(batch.controls[rows]).to(device)
            for step in steps:
                k = torch.full((len(coarse),), step.slice, device=device)
                nats: Tensor = networks[step.stage](coarse, fine, k, controls)
                total[step.stage][rows] += nats.double().sum((1, 2)).cpu().numpy()
                bar.update(len(coarse))
    return {stage: nats / (math.log(2) * geometry.dimensions) for stage, nats in total.items()}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Held-out bits/dim of a shipped model, beside lossless codecs.")
    parser.add_argument("model", type=Path, help="folder of the model")
    add_data_arguments(parser)
    parser.add_argument("--images", type=int, help="only so many held-out images; default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--chunk", type=int, default=CHUNK, help="slices at once")
    parser.add_argument("--json", type=Path, help="also write the scores here")
    parser.add_argument("--plot", type=Path, help="also plot them here, e.g. docs/bits-symbols-64.png")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    networks, card = load_model(args.model)
    geometry = card.config.geometry
    data = open_dataset(args, size=geometry.size)
    if data.controls != card.config.controls:
        parser.error(f"{card.name} was trained on data with other controls than {args.data or 'the symbols'}")
    held_out = data.held_out().first(args.images)
    parts = shares(networks.to(args.device), geometry, held_out, chunk=args.chunk)
    scores = scores_of(parts, held_out, data.families, geometry)
    print(f"{table(scores)}\n\nThe same bits over sub-pixels that are not white:\n\n{painted_table(scores)}")
    if args.json:
        args.json.write_text(json.dumps([score.record() for score in scores], indent=1) + "\n")
    if args.plot:
        plot(scores, card.name, args.plot)


if __name__ == "__main__":
    main()
