"""Seconds per sampled image: the parallel sampler beside the best cached sampler of every baseline, all compiled.

The Subscale Pixel Network runs as in the service, and as the baselines do: compiled by Inductor, in float32.

The measure is processor time of the drawing thread, the only one of torch, which is fair on a busy machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Final

from torch import nn
from tqdm import tqdm

from benchmarks.inductor import Inductor
from models.cards import ModelCard
from models.pipeline import ImageState, Pipeline
from models.sampling.backends.backend import BackendFactory
from models.sampling.backends.fastest import Fastest
from models.subscale import Progress
from research.baselines.baseline import Baseline
from research.baselines.gated import GatedPixelCNN
from research.baselines.sampler import BaselineSampler
from training.data.vocabulary import CONTROLS
from training.scoring.samples import PASSES, finish
from training.scoring.scores import markdown

BATCHES: Final = (1, 32)
WINDOW: Final = 16
"""Tokens in a pass of one image."""

INDUCTOR: Final = "Inductor, float32"

BACKENDS: Final[dict[str, BackendFactory]] = {
    "C++, bfloat16": Fastest(PASSES),
    "C++, float32": Fastest(PASSES, bfloat16=False),
    INDUCTOR: Inductor(PASSES),
}
"""Ways to run the Subscale Pixel Network: the first is that of the service, the last that of the baselines."""


@dataclass(frozen=True, kw_only=True)
class SpeedRow:
    """One model that draws `batch` images together: processor seconds per image, median and range of the repeats."""

    title: str
    passes: str
    batch: int
    seconds: float
    least: float
    most: float


Action = Callable[[], None]


def rows_of(actions: dict[tuple[str, str, int], Action], repeats: int) -> list[SpeedRow]:
    """Measure actions by title, kind of passes and batch, in turns, after one unmeasured turn."""
    seconds: dict[tuple[str, str, int], list[float]] = {key: [] for key in actions}
    for repeat in tqdm(range(repeats + 1), desc="drawing"):
        for key, action in actions.items():
            begun = time.thread_time()
            action()
            if repeat:
                seconds[key].append((time.thread_time() - begun) / key[2])
    return [
        SpeedRow(
            title=title,
            passes=passes,
            batch=batch,
            seconds=statistics.median(each),
            least=min(each),
            most=max(each),
        )
        for (title, passes, batch), each in seconds.items()
    ]


def spn(networks: nn.ModuleDict, card: ModelCard, batch: int, backend: BackendFactory) -> Action:
    """Return the parallel sampler; with a full batch it moves each image by one pixel."""
    pipeline = Pipeline(networks, card, capacity=max(batch, WINDOW), backend=backend)
    seeds = count()

    def draw() -> None:
        blank = Progress(geometry=card.config.geometry)
        states = [
            ImageState(seed=seed, controls=labels_in_turn(seed), progress=blank)
            for seed in (next(seeds) for _ in range(batch))
        ]
        finish(pipeline, states)

    return draw


def baseline(network: Baseline, batch: int) -> Action:
    """Return the cached sampler, one pixel per step."""
    network = network.eval().requires_grad_(requires_grad=False)
    sampler, seeds = BaselineSampler(network, batch, compiled=True), count()

    def draw() -> None:
        chosen = [next(seeds) for _ in range(batch)]
        sampler.draw([labels_in_turn(seed) for seed in chosen], chosen)

    return draw


def passes(network: Baseline) -> str:
    """Return a description of the passes."""
    return f"{INDUCTOR}, a pixel a step{', vertical stack by row' if isinstance(network.trunk, GatedPixelCNN) else ''}"


def labels_in_turn(seed: int) -> tuple[int, ...]:
    """Return controls with labels in turn."""
    return (seed % 36 + 1, *(0,) * (len(CONTROLS) - 1))


def table(rows: Sequence[SpeedRow]) -> str:
    """Return one line per model and batch, with ratios to the first row of the batch and to the first one by Inductor."""
    lines = []
    for r in rows:
        batch = [other for other in rows if other.batch == r.batch]
        alike = next(other for other in batch if other.passes.startswith(INDUCTOR))
        lines.append(
            [
                r.title,
                r.passes,
                str(r.batch),
                f"{r.seconds:.3f}",
                f"{r.least:.3f} to {r.most:.3f}",
                f"{r.seconds / batch[0].seconds:.1f}",
                f"{r.seconds / alike.seconds:.1f}",
            ]
        )
    return markdown(["model", "passes", "together", "s per image", "range", "of the SPN's", "run alike"], lines)


def record(rows: Sequence[SpeedRow]) -> list[dict[str, object]]:
    """Return the rows for JSON."""
    return [asdict(r) for r in rows]
