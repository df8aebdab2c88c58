"""Turn training runs into a shipped model: `python -m training.ship --preset symbols-32`.

Takes the averaged weights of every stage from the run folder, measures held-out bits/dim, draws the sample sheet, and
writes folder, card and sheet. A stage that does not evaluate better than what is shipped keeps the shipped weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from models.cards import SHEET, WEIGHTS, ModelCard
from models.checkpoint import load_model, save_model
from models.config import ModelConfig, control_indices
from models.network import build
from models.pipeline import ImageState, Pipeline
from models.subscale import Progress
from training.data.symbols import Batch, Symbols
from training.evaluate import evaluate, shares, table
from training.presets import PRESETS

SHEET_ROWS: tuple[list[dict[str, str]], ...] = (
    [{"label": c} for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"],
    [{"hue": h} for h in ("red", "orange", "yellow", "green", "teal", "blue", "violet", "pink", "neutral")],
    [{"tile": t} for t in ("circle", "rounded", "square", "none") for _ in range(3)],
    [{} for _ in range(15)],
)


def averaged(config: ModelConfig, runs: Path) -> nn.ModuleDict:
    """The networks of `config` with the averaged weights of their runs."""
    networks = build(config)
    for stage, network in networks.items():
        network.load_state_dict(torch.load(runs / f"{stage}.pt", weights_only=True)["average"])
    return networks.eval().requires_grad_(requires_grad=False)


def keep_better(new: nn.ModuleDict, shipped: Path, config: ModelConfig, held_out: Batch) -> None:
    """Put the shipped weights back for every stage whose held-out share did not fall."""
    old, card = load_model(shipped)
    if card.config != config:
        return
    before, after = (shares(networks, config.geometry, held_out) for networks in (old, new))
    for stage in before:
        if after[stage].mean() >= before[stage].mean():
            new[stage].load_state_dict(old[stage].state_dict())


def sheet(pipeline: Pipeline, asked: list[dict[str, str]], *, columns: int, scale: int = 3) -> NDArray[np.uint8]:
    """One picture per entry of `asked`, seeds counting from 0, as one (H, W, C) sheet."""
    config = pipeline.card.config
    pictures = []
    for start in range(0, len(asked), pipeline.capacity):
        rows = [
            ImageState(
                seed=start + i,
                controls=control_indices(config.controls, controls),
                temperature=1.0,
                progress=Progress(geometry=config.geometry),
            )
            for i, controls in enumerate(asked[start : start + pipeline.capacity])
        ]
        while rows[0].progress.next:
            rows = pipeline.advance(rows)
        pictures += [np.pad(row.progress.picture(), ((1, 1), (1, 1), (0, 0)), constant_values=255) for row in rows]
    pictures += [np.full_like(pictures[0], 255)] * (-len(pictures) % columns)
    tiled = rearrange(np.stack(pictures), "(r q) h w c -> (r h) (q w) c", q=columns)
    return tiled.repeat(scale, 0).repeat(scale, 1)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Turn training runs into a shipped model.")
    parser.add_argument("--preset", choices=PRESETS, default="symbols-32")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--training", default="", help="a sentence for the card: machine and hours")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    folder = WEIGHTS / args.preset
    data = Symbols.load(size=PRESETS[args.preset](()).geometry.size)
    config, held_out = PRESETS[args.preset](data.controls), data.held_out()
    networks = averaged(config, args.runs / args.preset)
    if (folder / "card.json").exists():
        keep_better(networks, folder, config, held_out)
    scores = evaluate(networks, config.geometry, held_out, codecs=False)
    print(table(scores))
    card = ModelCard(
        name=args.preset,
        config=config,
        sha256="",
        parameters=0,
        training=args.training,
        bits_per_dim={s.family: round(s.joint, 4) for s in scores},
    )
    card = save_model(networks, card, folder)
    asked = [controls for row in SHEET_ROWS for controls in row]
    picture = sheet(Pipeline(networks, card), asked, columns=12)
    Image.fromarray(picture).save(folder / SHEET, optimize=True)


if __name__ == "__main__":
    main()
