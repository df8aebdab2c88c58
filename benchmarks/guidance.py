"""The cost of guidance, candidates and temperature: `python -m benchmarks.guidance`.

Whole images by the C++ sampler on one thread, settings in turn. The last is that of the model's card. The table has medians of
processor seconds: a busy machine disturbs these less than wall time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.exactness import Model, model_of, verifier
from benchmarks.sampling import ARTEFACTS, DOCS
from models.config import MODEL_SAMPLING, Sampling
from models.pipeline import ImageState, Pipeline
from models.sampling.backends.fastest import Fastest
from models.subscale import Progress

SETTINGS = (
    MODEL_SAMPLING,
    Sampling(guidance=2),
    Sampling(candidates=4),
    Sampling(guidance=2, candidates=4),
)


@dataclass(frozen=True, kw_only=True)
class GuidanceRow:
    """One setting: processor seconds of the base slices, and of `batch` whole images together."""

    sampling: Sampling
    batch: int
    base_seconds: float
    seconds: float


def table_of(model: Model, *, batch: int, repeats: int) -> list[GuidanceRow]:
    """Measure all settings after one warm-up each."""
    pipeline = Pipeline(*model, capacity=16, verifier=verifier(model[1]), backend=Fastest(ARTEFACTS))
    runs: dict[Sampling, list[tuple[float, float]]] = {way: [] for way in (*SETTINGS, model[1].sampling)}
    for repeat in tqdm(range(repeats + 1), leave=False):
        for way, times in runs.items():
            times.append(draw(pipeline, blank(pipeline, way, batch, seed=repeat * batch)))
    return [row(way, batch, times[1:]) for way, times in runs.items()]


def blank(pipeline: Pipeline, way: Sampling, batch: int, seed: int) -> list[ImageState]:
    """Return unstarted images of labels in turn."""
    config = pipeline.card.config
    labels, others = len(config.controls[0].values), (0,) * (len(config.controls) - 1)
    progress = Progress(geometry=config.geometry)
    return [
        ImageState(seed=at, controls=(at % labels + 1, *others), sampling=way, progress=progress)
        for at in range(seed, seed + batch)
    ]


def draw(pipeline: Pipeline, rows: list[ImageState]) -> tuple[float, float]:
    """Draw all slices; return the seconds of the base slices, and of all."""
    begun = time.process_time()
    rows = pipeline.advance(rows)
    base = time.process_time()
    while rows[0].progress.next:
        rows = pipeline.advance(rows)
    return base - begun, time.process_time() - begun


def row(way: Sampling, batch: int, times: Sequence[tuple[float, float]]) -> GuidanceRow:
    """Return the figures of one setting."""
    base, whole = zip(*times, strict=True)
    return GuidanceRow(
        sampling=way,
        batch=batch,
        base_seconds=round(statistics.median(base), 4),
        seconds=round(statistics.median(whole), 4),
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="The cost of guidance, candidates and temperature.")
    parser.add_argument("--model", default="symbols-64")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = model_of(args.model)
    rows = [each for batch in args.batches for each in table_of(model, batch=batch, repeats=args.repeats)]
    print("| batch | temperatures | guidance | candidates | base s | s per batch |\n|---|---|---|---|---|---|")
    for r in rows:
        heat = r.sampling.temperature
        settings = f"{heat.base:g}, {heat.size:g}, {heat.depth:g} | {r.sampling.guidance:g} | {r.sampling.candidates}"
        print(f"| {r.batch} | {settings} | {r.base_seconds:.3f} | {r.seconds:.3f} |")
    DOCS.mkdir(parents=True, exist_ok=True)
    found = {"model": args.model, "sha256": model[1].sha256, "rows": [asdict(r) for r in rows]}
    Path(DOCS / f"guidance-{args.model}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
