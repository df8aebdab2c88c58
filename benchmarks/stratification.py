"""What equally frequent slices in a batch are worth: `python -m benchmarks.stratification`.

Loss and gradient of every slice of some training images, by shipped weights. Their variance within the slices is what a
batch with every slice equally often has; the whole variance is what a batch of random slices has.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from models.cards import WEIGHTS
from models.checkpoint import load_model
from models.config import Stage
from models.network import Network
from training.data.symbols import Symbols
from training.scoring.bits import split, stage_share
from training.scoring.scores import markdown

JSON: Final = Path("docs/benchmarks/stratification.json")

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Variances:
    """Variance of one example: of its loss in (bits/dim)^2, and of its gradient as squared length.

    `within`: among images, mean over the slices. `whole`: among images and slices.
    """

    within: float
    whole: float

    @property
    def saved(self) -> float:
        """The share of the variance that equally frequent slices remove."""
        return 1 - self.within / self.whole


@dataclass(frozen=True, kw_only=True)
class StageVariances:
    """Both variances of a stage."""

    stage: str
    images: int
    slices: int
    loss: Variances
    gradient: Variances


def measure(network: Network, images: Tensor, controls: Tensor) -> StageVariances:
    """Measure on images (n, H, W, C) and controls (n, m): one forward and one backward pass per image and slice."""
    slices = [step.slice for step in network.geometry.steps if step.stage is network.stage]
    coarse, fine = split(images, network.geometry)
    count, scale = len(images), stage_share(network.stage, network.geometry)
    losses, squares = np.zeros((count, len(slices))), np.zeros((count, len(slices)))
    means = torch.zeros(len(slices), sum(p.numel() for p in network.parameters()))
    for i, k in tqdm(list(np.ndindex(losses.shape)), desc=network.stage.value, leave=False):
        row = slice(i, i + 1)
        loss = scale * network(coarse[row], fine[row], torch.tensor([slices[k]]), controls[row]).mean()
        parts = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True, materialize_grads=True)
        gradient = torch.cat([part.flatten() for part in parts])
        losses[i, k], squares[i, k] = float(loss), float(gradient.square().sum())
        means[k] += gradient / count
    return StageVariances(
        stage=network.stage.value,
        images=count,
        slices=len(slices),
        loss=variances(losses**2, losses.mean(axis=0)[:, None]),
        gradient=variances(squares, means.double().numpy()),
    )


def variances(squares: Floats, means: Floats) -> Variances:
    """Return unbiased variances from squared lengths (n, k) of vectors, and their means (k, d) over the n images."""
    count, slices = squares.shape
    within = float((squares.mean(axis=0) - (means**2).sum(axis=1)).mean()) * count / (count - 1)
    spread = float(((means - means.mean(axis=0)) ** 2).sum()) / slices
    noise = within / count * (1 - 1 / slices)  # the means of few images differ by chance too
    return Variances(within=within, whole=within + spread - noise)


def table(found: list[StageVariances]) -> str:
    """Return one line per stage, as Markdown."""
    rows = [
        [each.stage, str(each.slices), str(each.images), f"{each.loss.saved:.0%}", f"{each.gradient.saved:.1%}"]
        for each in found
    ]
    return markdown(["network", "slices", "images", "variance of the loss removed", "of the gradient"], rows)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="What equally frequent slices in a batch are worth.")
    parser.add_argument("--model", default="symbols-64")
    parser.add_argument("--images", type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    networks, card = load_model(WEIGHTS / args.model)
    networks.requires_grad_(requires_grad=True)
    batch = Symbols.load(size=card.config.geometry.size).draw(np.random.default_rng(0), args.images)
    images, controls = torch.from_numpy(batch.images), torch.from_numpy(batch.controls)
    found = [measure(cast("Network", networks[stage]), images, controls) for stage in (Stage.SIZE, Stage.DEPTH)]
    print(table(found))
    JSON.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
