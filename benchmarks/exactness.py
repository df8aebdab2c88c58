"""Whether what is drawn is what the model says: `python -m benchmarks.exactness`.

Three checks. Pictures drawn in float64 are fixed points: one teacher-forced pass under the same noise reproduces every
sub-pixel, and the fixed point is unique. On a small model with random weights the oracle, cached and parallel draw the
same pictures. In the serving dtype, compiled, the share of pictures on which cached and parallel differ is counted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from benchmarks.sampling import ARTEFACTS, DOCS
from models.cards import WEIGHTS, ModelCard
from models.checkpoint import load_model
from models.config import Geometry, ModelConfig, Sampling, Stage, Temperatures, Widths
from models.network import build
from models.pipeline import ImageState, Pipeline, next_step
from models.sampling import reference
from models.sampling.engine import Sampler
from models.subscale import Progress

SMALL = ModelConfig(
    geometry=Geometry(size=8, slice_size=4),
    controls=(),
    widths=dict.fromkeys(Stage, Widths(width=16, blocks=2, heads=2, conv_width=12, embedder_blocks=1)),
)


def blank_states(config: ModelConfig, count: int, rng: np.random.Generator) -> list[ImageState]:
    """Pictures of all controls at random, temperatures from 0.7 to 1.2 by stage, seeds counting up."""
    return [
        ImageState(
            seed=seed,
            controls=tuple(int(rng.integers(len(c.values) + 1)) for c in config.controls),
            sampling=Sampling(temperature=Temperatures(**{stage: float(rng.uniform(0.7, 1.2)) for stage in Stage})),
            progress=Progress(geometry=config.geometry),
        )
        for seed in range(count)
    ]


def batches(states: list[ImageState], size: int, what: str) -> Iterator[list[ImageState]]:
    """`states` in batches, with a bar."""
    for start in tqdm(range(0, len(states), size), desc=what, leave=False):
        yield states[start : start + size]


@torch.inference_mode()
def fixed_points(model: tuple[nn.ModuleDict, ModelCard], count: int) -> int:
    """How many of `count` pictures drawn in float64 are fixed points of the model."""
    pipeline, fixed = Pipeline(model[0].double(), model[1], capacity=32), 0
    states = blank_states(model[1].config, count, np.random.default_rng(1))
    for rows in batches(states, pipeline.capacity, "fixed points"):
        same, drawn = np.ones(len(rows), bool), rows
        while drawn[0].progress.next:
            network, given = pipeline.network(next_step(drawn[0]).stage), [pipeline.given(row) for row in drawn]
            drawn = pipeline.advance(drawn)
            symbols = torch.tensor(np.stack([row.progress.slices[-1] for row in drawn])).long().flatten(1, 2)
            same &= (reference.redraw(network, given, symbols) == symbols).all((1, 2)).numpy()
        fixed += int(same.sum())
    return fixed


@torch.inference_mode()
def agreeing_seeds(count: int) -> int:
    """How many of `count` seeds of a small random model give the same picture by all three samplers."""
    networks = build(SMALL).double().eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in networks.parameters():
        parameter.data.normal_(0, 0.3, generator=generator)
    card, same = ModelCard(name="small", config=SMALL, sha256="", parameters=0), 0
    pipelines = [Pipeline(networks, card, capacity=100, sampler=sampler) for sampler in Sampler]
    for rows in batches(blank_states(SMALL, count, np.random.default_rng(2)), 100, "samplers"):
        drawn = [finished(pipeline, rows) for pipeline in pipelines]
        drawn.append(by_oracle(pipelines[0], rows))
        same += sum(len(set(pictures)) == 1 for pictures in zip(*drawn, strict=True))
    return same


def finished(pipeline: Pipeline, rows: list[ImageState]) -> list[bytes]:
    """The complete pictures."""
    while rows[0].progress.next:
        rows = pipeline.advance(rows)
    return [row.progress.picture().tobytes() for row in rows]


def by_oracle(pipeline: Pipeline, rows: list[ImageState]) -> list[bytes]:
    """The same pictures by `reference`."""
    while (step := rows[0].progress.next) is not None:
        network = pipeline.network(step.stage)
        symbols = reference.sample(network, [pipeline.given(row) for row in rows]).to(torch.uint8).numpy()
        slices = symbols.reshape(len(rows), *rows[0].progress.geometry.slice_shape)
        rows = [replace(row, progress=row.progress.with_slice(s)) for row, s in zip(rows, slices, strict=True)]
    return [row.progress.picture().tobytes() for row in rows]


def differing(model: tuple[nn.ModuleDict, ModelCard], count: int) -> int:
    """Of `count` pictures in the serving dtype, compiled, how many cached and parallel draw differently."""
    states = blank_states(model[1].config, count, np.random.default_rng(3))
    sides = [Pipeline(*model, capacity=16, sampler=sampler).compile(ARTEFACTS) for sampler in Sampler]
    unequal = 0
    for rows in batches(states, 16, "serving dtype"):
        parallel, cached = (finished(side, rows) for side in sides)
        unequal += sum(a != b for a, b in zip(parallel, cached, strict=True))
    return unequal


def differing_from_torch(model: tuple[nn.ModuleDict, ModelCard], count: int) -> int:
    """Of `count` pictures in float32 how many the C++ code draws differently from the torch modules."""
    states = blank_states(model[1].config, count, np.random.default_rng(4))
    torch_only = Pipeline(*model, capacity=32)
    native = Pipeline(*model, capacity=32).compile(ARTEFACTS, bfloat16=False)
    unequal = 0
    for rows in batches(states, 32, "C++ and torch"):
        unequal += sum(a != b for a, b in zip(finished(torch_only, rows), finished(native, rows), strict=True))
    return unequal


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Whether what is drawn is what the model says.")
    parser.add_argument("--model", default="symbols-64")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found = {
        "model": args.model,
        "pictures": args.pictures,
        "cached_and_parallel_differ": differing(load_model(WEIGHTS / args.model), args.pictures),
        "native_and_torch_differ_in_float32": differing_from_torch(load_model(WEIGHTS / args.model), args.pictures),
        "fixed_points_in_float64": fixed_points(load_model(WEIGHTS / args.model), args.pictures),
        "seeds": args.seeds,
        "three_samplers_agree": agreeing_seeds(args.seeds),
    }
    print(json.dumps(found, indent=1))
    DOCS.mkdir(parents=True, exist_ok=True)
    Path(DOCS / f"exactness-{args.model}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
