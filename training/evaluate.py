"""Held-out bits/dim per stage, joint and by family, beside codecs: `python -m training.evaluate models/weights/symbols-32`.

Every slice of every picture is summed, the last bit of the picture included: bits/dim is over H * W * C sub-pixels
of 8 bits, and the stages are additive shares of it.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from models.checkpoint import load_model
from models.config import Geometry, Stage
from training.codecs import CODECS, bits_per_dim
from training.data.symbols import Batch, Symbols
from training.data.vocabulary import FAMILIES


@dataclass(frozen=True, kw_only=True)
class Score:
    """Bits/dim of one family: additive shares by stage; codecs by name, on the same pictures."""

    family: str
    count: int
    stages: dict[Stage, float]
    codecs: dict[str, float]

    @property
    def joint(self) -> float:
        """The model's bits/dim."""
        return sum(self.stages.values())


@torch.inference_mode()
def shares(
    networks: nn.ModuleDict, geometry: Geometry, batch: Batch, chunk: int = 64
) -> dict[Stage, NDArray[np.float64]]:
    """Each stage's share of bits/dim for each picture of `batch`: stage -> (B,) float64."""
    pixels, controls = torch.from_numpy(batch.images).long(), torch.from_numpy(batch.controls)
    coarse, fine = pixels >> geometry.fine_bits, pixels & ((1 << geometry.fine_bits) - 1)
    total = {stage: np.zeros(len(pixels)) for stage in geometry.stages}
    starts = range(0, len(pixels), chunk)
    for step, start in tqdm([(s, i) for s in geometry.steps for i in starts], desc="held-out", leave=False):
        rows = slice(start, start + chunk)
        k = torch.full((len(pixels[rows]),), step.slice)
        nats: Tensor = networks[step.stage](coarse[rows], fine[rows], k, controls[rows])
        total[step.stage][rows] += nats.double().sum((1, 2)).numpy()
    return {stage: nats / (math.log(2) * geometry.dimensions) for stage, nats in total.items()}


def evaluate(networks: nn.ModuleDict, geometry: Geometry, batch: Batch, *, codecs: bool = True) -> list[Score]:
    """One score per family of `batch`, and one over all pictures."""
    parts = shares(networks, geometry, batch)
    groups = {name: batch.families == i for i, name in enumerate(FAMILIES)}
    groups["all"] = np.ones(len(batch.images), bool)
    return [
        Score(
            family=name,
            count=int(chosen.sum()),
            stages={stage: float(share[chosen].mean()) for stage, share in parts.items()},
            codecs={c: bits_per_dim(batch.images[chosen], e) for c, e in CODECS.items()} if codecs else {},
        )
        for name, chosen in groups.items()
        if chosen.any()
    ]


def table(scores: list[Score]) -> str:
    """The scores as a Markdown table."""
    names = [*scores[0].stages, "joint", *scores[0].codecs]
    head = ["| pictures | n | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    rows = [
        f"| {s.family} | {s.count} | "
        + " | ".join(f"{v:.3f}" for v in (*s.stages.values(), s.joint, *s.codecs.values()))
        + " |"
        for s in scores
    ]
    return "\n".join([*head, *rows])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Held-out bits/dim of a shipped model, beside lossless codecs.")
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the scores here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    networks, card = load_model(args.model)
    geometry = card.config.geometry
    scores = evaluate(networks, geometry, Symbols.load(size=geometry.size).held_out())
    print(table(scores))
    if args.json:
        args.json.write_text(json.dumps([{**vars(s), "joint": s.joint} for s in scores], indent=1) + "\n")


if __name__ == "__main__":
    main()
