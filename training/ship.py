"""Turn training runs into a shipped model: `python -m training.ship --preset symbols-64`.

Takes the averaged weights of every stage from the run folder, measures held-out bits/dim, draws the sample sheet, and
writes folder, card and sheet. A stage that does not evaluate better than what is shipped keeps the shipped weights.
`--replace` is for a stage that has more bits and whose images the judge prefers.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from models.cards import CARD, SHEET, WEIGHTS, ModelCard
from models.checkpoint import load_model, save_model, sha256_of
from models.config import LABEL, ModelConfig, Sampling, Stage, Temperatures
from models.network import build
from models.pipeline import Pipeline
from models.verifier import VERIFIER
from training.data.opening import add_data_arguments, open_dataset
from training.data.symbols import ImageBatch
from training.evaluate import shares
from training.loop.checkpoints import read_state
from training.presets import PRESETS, SUBJECT
from training.scoring.samples import PASSES, ControlValues, samples, temperatures, tiled
from training.scoring.scores import scores_of, table

Shares = dict[Stage, NDArray[np.float64]]

COLUMNS: Final = 12
"""Columns of the sample sheet."""

CONCEPT_ROWS: Final = 5
"""Rows of the sheet for labels of more than one character; the sheet has all other labels."""

STORED: Final = torch.bfloat16
"""Number format of stored weights. They are rounded before evaluation, so that the card has the figures of the file."""

_SHEET_PIXELS: Final = 96
_DIGITS: Final = 5


def averaged(config: ModelConfig, runs: Path) -> nn.ModuleDict:
    """Return the networks of `config` with the averaged weights of their runs."""
    networks = build(config)
    for stage, network in networks.items():
        if (state := read_state(runs / f"{stage}.pt")) is None:
            msg = f"no run of {stage} in {runs}"
            raise SystemExit(msg)
        network.load_state_dict(state["average"])
    return networks.eval().requires_grad_(requires_grad=False)


def keep_better(
    new: nn.ModuleDict, shipped: Path, config: ModelConfig, held_out: ImageBatch, *, replaced: Sequence[Stage] = ()
) -> Shares:
    """Restore the shipped weights of every stage whose held-out share did not fall; return the shares of the result.

    The shares of the shipped weights are those of the card, if it has them. The stages `replaced` are never restored.
    """
    after = shares(new, config.geometry, held_out)
    if not (shipped / CARD).exists():
        return after
    old, card = load_model(shipped)
    if card.config != config:
        return after
    before = card.stage_bits_per_dim or means(shares(old, config.geometry, held_out))
    kept = [stage for stage in after if stage not in replaced and after[stage].mean() >= before[stage]]
    for stage in kept:
        new[stage].load_state_dict(old[stage].state_dict())
    return {**after, **(shares(new, config.geometry, held_out, stages=kept) if kept else {})}


def means(parts: Mapping[Stage, NDArray[np.float64]]) -> dict[str, float]:
    """Return the mean share of each stage, as in a card."""
    return {stage.value: round(float(share.mean()), _DIGITS) for stage, share in parts.items()}


def round_weights(networks: nn.ModuleDict) -> None:
    """Round every weight in place to the number format of the file."""
    for tensor in networks.state_dict().values():
        tensor.copy_(tensor.to(STORED))


def sheet_labels(config: ModelConfig) -> list[ControlValues]:
    """Return the requests of the sample sheet: every character, then labels evenly spaced among the others."""
    values = next((control.values for control in config.controls if control.name == LABEL), ())
    characters = [value for value in values if len(value) == 1]
    others = [value for value in values if len(value) > 1]
    room = min(len(others), CONCEPT_ROWS * COLUMNS)
    spread = [others[i * len(others) // room] for i in range(room)]
    return [{LABEL: value} for value in (*characters, *spread)] or [{}] * (CONCEPT_ROWS * COLUMNS)


def draw_sheet(pipeline: Pipeline, path: Path) -> None:
    """Write the sample sheet at the card's defaults as PNG: seeds from 0, nothing is selected."""
    config = pipeline.card.config
    images = samples(pipeline, sheet_labels(config))
    scale = max(1, _SHEET_PIXELS // config.geometry.size)
    Image.fromarray(tiled(images, columns=COLUMNS, scale=scale)).save(path, optimize=True)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Turn training runs into a shipped model.")
    parser.add_argument("--preset", choices=PRESETS, default="symbols-64")
    add_data_arguments(parser)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--models", type=Path, default=WEIGHTS, help="folder for the folder of the model")
    parser.add_argument("--training", default="", help="a sentence for the card: machine and hours")
    parser.add_argument("--verifier", type=Path, help="folder of a verifier made by training.verify")
    parser.add_argument("--temperature", type=temperatures, default=Temperatures(), help="default of requests")
    parser.add_argument("--guidance", type=float, default=1.0, help="default of requests")
    parser.add_argument("--candidates", type=int, default=1, help="default of requests; more than 1 need a verifier")
    parser.add_argument(
        "--replace", type=Stage, choices=list(Stage), nargs="*", default=[], help="stages that may have more bits"
    )
    parser.add_argument("--images", type=int, help="evaluate on so many held-out images; default: all")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    args = arguments()
    torch.set_num_threads(args.threads)
    folder = args.models / args.preset
    data = open_dataset(args, size=PRESETS[args.preset](()).geometry.size)
    config, held_out = PRESETS[args.preset](data.controls), data.held_out().first(args.images)
    networks = averaged(config, args.runs / args.preset)
    round_weights(networks)
    parts = keep_better(networks, folder, config, held_out, replaced=args.replace)
    scores = scores_of(parts, held_out, data.families, config.geometry, codecs=False)
    print(table(scores))
    subject = tuple(control.name for control in config.controls if control.name in SUBJECT)
    card = ModelCard(
        name=args.preset,
        config=config,
        sha256="",
        parameters=0,
        training=args.training,
        bits_per_dim={s.family: round(s.joint, 4) for s in scores},
        stage_bits_per_dim=means(parts),
        sampling=Sampling(temperature=args.temperature, guidance=args.guidance, candidates=args.candidates),
        guided=(Stage.BASE,) if subject else (),
        unguided_controls=subject,
        verifier=copied_verifier(args.verifier, folder) if args.verifier else "",
    )
    save_model(networks, card, folder, dtype=STORED)
    draw_sheet(Pipeline.load(folder, artefacts=PASSES), folder / SHEET)


def copied_verifier(verifier: Path, folder: Path) -> str:
    """Copy a verifier into the folder of the model; return its sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    if verifier.resolve() != folder.resolve():
        shutil.copyfile(verifier / VERIFIER, folder / VERIFIER)
    return sha256_of(folder / VERIFIER)


if __name__ == "__main__":
    main()
