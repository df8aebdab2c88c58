"""Slices of 16 x 16 or of 32 x 32 for 64 x 64 images: `python -m benchmarks.slice_size` (docs/decisions/005).

The same networks and the same budget of processor time, shared alike among the stages; an update has as many pixels.
Then held-out bits/dim, and processor seconds of one image by the sampler that is served. It continues where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from models.cards import ModelCard
from models.config import ModelConfig, Stage
from models.pipeline import ImageState
from models.subscale import Progress
from research.evidence.contestants import spn
from research.evidence.likelihood import half, image_bits, interval
from research.evidence.training_runs import TrainingRun, train
from training.data.symbols import Symbols
from training.presets import PRESETS
from training.scoring.samples import compiled_pipeline, finish
from training.scoring.scores import Floats, markdown

PACES: Final = {
    16: {Stage.BASE: 189.0, Stage.SIZE: 196.0, Stage.DEPTH: 183.0},
    32: {Stage.BASE: 67.5, Stage.SIZE: 62.5, Stage.DEPTH: 65.6},
}
"""Updates in a minute of processor time, by the side of a slice."""

REPEATS: Final = 5
RUNS: Final = Path("runs/slice-size")
JSON: Final = Path("docs/benchmarks/slice-size.json")


def config(side: int) -> ModelConfig:
    """Return the configuration of symbols-64 in slices of `side`."""
    shipped = PRESETS["symbols-64"](Symbols.controls)
    return replace(shipped, geometry=replace(shipped.geometry, slice_size=side))


def run_of(side: int, minutes: float) -> TrainingRun:
    """Return the run of a slice size."""
    contestant = spn(f"slices-{side}", f"{side} x {side}", config(side), PACES[side])
    return TrainingRun(contestant=contestant, seed=0, minutes=minutes, folder=RUNS)


def one_image(run: TrainingRun, side: int) -> Callable[[], object]:
    """Return an action that draws one image."""
    card = ModelCard(name=run.label, config=config(side), sha256="", parameters=run.contestant.parameters)
    compiled, blank = compiled_pipeline(run.networks(), card, capacity=1), Progress(geometry=card.config.geometry)
    state = ImageState(seed=0, controls=(0,) * len(card.config.controls), progress=blank)
    return lambda: finish(compiled, [state])


def seconds(actions: dict[int, Callable[[], object]]) -> dict[int, float]:
    """Return the processor seconds of each, medians over turns after an unmeasured one."""
    found: dict[int, list[float]] = {side: [] for side in actions}
    for repeat in range(REPEATS + 1):
        for side, action in actions.items():
            begun = time.thread_time()
            action()
            if repeat:
                found[side].append(time.thread_time() - begun)
    return {side: statistics.median(each) for side, each in found.items()}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Slices of 16 x 16 against 32 x 32.")
    parser.add_argument("--minutes", type=float, default=8, help="processor time of each model in all")
    parser.add_argument("--images", type=int, default=168, help="held-out images for bits/dim")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = Symbols.load(size=64)
    runs = {side: run_of(side, args.minutes) for side in PACES}
    if not all(train(run, data) for run in runs.values()):
        return
    held_out = data.held_out().first(args.images)
    report(runs, {side: image_bits(run, held_out) for side, run in runs.items()}, args.minutes)


def report(runs: dict[int, TrainingRun], bits: dict[int, Floats], minutes: float) -> None:
    """Print the table, write the JSON."""
    times, first = seconds({side: one_image(run, side) for side, run in runs.items()}), bits[min(PACES)]
    rows = [
        {
            "slices": run.contestant.title,
            "parameters": run.contestant.parameters,
            "updates": run.steps,
            "bits_per_dim": float(bits[side].mean()),
            "above_the_first": float((bits[side] - first).mean()),
            "half_interval": half(interval((bits[side] - first)[None])),
            "seconds_per_picture": times[side],
        }
        for side, run in runs.items()
    ]
    JSON.write_text(json.dumps({"minutes": minutes, "pictures": len(first), "rows": rows}, indent=1) + "\n")
    print(
        markdown(
            list(rows[0]), [[str(np.round(v, 3)) if isinstance(v, float) else str(v) for v in r.values()] for r in rows]
        )
    )


if __name__ == "__main__":
    main()
