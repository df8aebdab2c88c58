"""Turn training runs into a shipped model: `python -m training.ship --preset symbols-32`.

Takes the averaged weights of every stage from the run folder, measures held-out bits/dim, draws the sample sheet, and
writes folder, card and sheet. A stage that does not evaluate better than what is shipped keeps the shipped weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from models.cards import CARD, SHEET, WEIGHTS, ModelCard
from models.checkpoint import load_model, save_model
from models.config import ModelConfig, Stage, Temperatures
from models.network import build
from models.pipeline import Pipeline
from training.checkpoints import state_of
from training.data.opening import add_data_arguments, asked_for
from training.data.symbols import Batch
from training.evaluate import shares
from training.presets import PRESETS
from training.samples import Asked, drawer, samples, tiled
from training.scores import scores_of, table

Shares = dict[Stage, NDArray[np.float64]]

SHEET_ROWS: Final[tuple[list[Asked], ...]] = (
    [{"label": c} for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"],
    [{"hue": h} for h in ("red", "orange", "yellow", "green", "teal", "blue", "violet", "pink", "neutral")],
    [{"tile": t} for t in ("circle", "rounded", "square", "none") for _ in range(3)],
    [{} for _ in range(15)],
)

TEMPERATURES: Final = (0.7, 0.8, 0.9, 1.1)
"""Beside 1, at which the sheet itself is drawn."""

_COLUMNS: Final = 12
_SHEET_PIXELS: Final = 96
_DIGITS: Final = 5


def averaged(config: ModelConfig, runs: Path) -> nn.ModuleDict:
    """The networks of `config` with the averaged weights of their runs."""
    networks = build(config)
    for stage, network in networks.items():
        if (state := state_of(runs / f"{stage}.pt")) is None:
            msg = f"no run of {stage} in {runs}"
            raise SystemExit(msg)
        network.load_state_dict(state["average"])
    return networks.eval().requires_grad_(requires_grad=False)


def keep_better(new: nn.ModuleDict, shipped: Path, config: ModelConfig, held_out: Batch) -> Shares:
    """Put the shipped weights back for every stage whose held-out share did not fall; the shares of what is then in `new`.

    The shipped shares are those of the card, where it has them.
    """
    after = shares(new, config.geometry, held_out)
    if not (shipped / CARD).exists():
        return after
    old, card = load_model(shipped)
    if card.config != config:
        return after
    before = card.stage_bits_per_dim or means(shares(old, config.geometry, held_out))
    kept = [stage for stage in after if after[stage].mean() >= before[stage]]
    for stage in kept:
        new[stage].load_state_dict(old[stage].state_dict())
    return {**after, **(shares(new, config.geometry, held_out, stages=kept) if kept else {})}


def means(parts: Mapping[Stage, NDArray[np.float64]]) -> dict[str, float]:
    """Each stage's mean share, as a card has it."""
    return {stage.value: round(float(share.mean()), _DIGITS) for stage, share in parts.items()}


def draw_sheet(pipeline: Pipeline, path: Path, temperature: float = 1.0) -> None:
    """The sample sheet at a temperature, as PNG."""
    config = pipeline.card.config
    offered = {(control.name, value) for control in config.controls for value in control.values}
    asked = [each for row in SHEET_ROWS for each in row if offered.issuperset(each.items())]
    sampling = replace(pipeline.card.sampling, temperature=Temperatures.alike(temperature))
    pictures = samples(pipeline, asked, sampling=sampling)
    scale = max(1, _SHEET_PIXELS // config.geometry.size)
    Image.fromarray(tiled(pictures, columns=_COLUMNS, scale=scale)).save(path, optimize=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Turn training runs into a shipped model.")
    parser.add_argument("--preset", choices=PRESETS, default="symbols-32")
    add_data_arguments(parser)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--models", type=Path, default=WEIGHTS, help="folder that the model's folder is written into")
    parser.add_argument("--training", default="", help="a sentence for the card: machine and hours")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--temperatures", action="store_true", help="also sheets at temperatures 0.7 to 1.1")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    folder = args.models / args.preset
    data = asked_for(args, size=PRESETS[args.preset](()).geometry.size)
    config, held_out = PRESETS[args.preset](data.controls), data.held_out()
    networks = averaged(config, args.runs / args.preset)
    parts = keep_better(networks, folder, config, held_out)
    scores = scores_of(parts, held_out, data.families, config.geometry, codecs=False)
    print(table(scores))
    card = ModelCard(
        name=args.preset,
        config=config,
        sha256="",
        parameters=0,
        training=args.training,
        bits_per_dim={s.family: round(s.joint, 4) for s in scores},
        stage_bits_per_dim=means(parts),
    )
    pipeline = drawer(networks, save_model(networks, card, folder))
    draw_sheet(pipeline, folder / SHEET)
    for temperature in TEMPERATURES if args.temperatures else ():
        draw_sheet(pipeline, folder / f"sheet-{temperature}.png", temperature)


if __name__ == "__main__":
    main()
