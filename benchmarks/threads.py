"""Seconds of a batch by threads: `python -m benchmarks.threads`.

Whole images by the C++ sampler at the defaults of the model's card, sides in turn after one warm-up each. Medians of wall
time: quiet cores are needed, as many as threads.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from tqdm import tqdm

from benchmarks.exactness import Model, model_of, verifier
from benchmarks.guidance import blank, draw
from benchmarks.sampling import ARTEFACTS, DOCS
from models.pipeline import Pipeline
from models.sampling.backends.fastest import Fastest


@dataclass(frozen=True, kw_only=True)
class ThreadsRow:
    """Images together on some threads: seconds of the batch, and its processor seconds."""

    threads: int
    images: int
    seconds: float
    processor_seconds: float


def table_of(model: Model, counts: Sequence[int], threads: Sequence[int], repeats: int) -> list[ThreadsRow]:
    """Measure every number of images with every number of threads."""
    pipelines = {
        each: Pipeline(
            *model, capacity=max(counts), threads=each, verifier=verifier(model[1]), backend=Fastest(ARTEFACTS)
        )
        for each in threads
    }
    runs: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for repeat in tqdm(range(repeats + 1), leave=False):
        for count in counts:
            for each, pipeline in pipelines.items():
                time_of_batch = timed(pipeline, count, seed=repeat * count)
                runs.setdefault((count, each), []).append(time_of_batch)
    return [row(count, each, times[1:]) for (count, each), times in runs.items()]


def timed(pipeline: Pipeline, count: int, seed: int) -> tuple[float, float]:
    """Return the seconds, and the processor seconds, of `count` images."""
    rows = blank(pipeline, pipeline.card.sampling, count, seed=seed)
    begun = time.perf_counter()
    _, spent = draw(pipeline, rows)
    return time.perf_counter() - begun, spent


def row(count: int, threads: int, times: Sequence[tuple[float, float]]) -> ThreadsRow:
    """Return the medians of one side."""
    seconds, spent = (round(statistics.median(each), 4) for each in zip(*times, strict=True))
    return ThreadsRow(threads=threads, images=count, seconds=seconds, processor_seconds=spent)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Seconds of a batch by threads.")
    parser.add_argument("--model", default="symbols-64")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 2, 3, 8, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = model_of(args.model)
    rows = table_of(model, args.images, args.threads, args.repeats)
    print("| images | threads | seconds | processor seconds |\n|---|---|---|---|")
    for r in rows:
        print(f"| {r.images} | {r.threads} | {r.seconds:.3f} | {r.processor_seconds:.3f} |")
    found = {"model": args.model, "sha256": model[1].sha256, "cpu": torch.backends.cpu.get_cpu_capability()}
    record = json.dumps({**found, "rows": [asdict(r) for r in rows]}, indent=1)
    (DOCS / f"threads-{args.model}.json").write_text(record + "\n")


if __name__ == "__main__":
    main()
