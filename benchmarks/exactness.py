"""Whether the samplers are exact: `python -m benchmarks.exactness`.

Images of all controls, temperatures by network, guidances and candidates. Drawn in float64 they are fixed points: one
teacher-forced pass for each conditioning, under the noise of one candidate, reproduces every sub-pixel, and the fixed point
is unique. On a small model with random weights the oracle, cached and parallel draw the same images. In the serving dtype,
compiled, the share of images on which cached and parallel differ is counted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from benchmarks.sampling import ARTEFACTS, DOCS
from models.cards import WEIGHTS, ModelCard
from models.checkpoint import load_model
from models.config import LABEL, Control, Geometry, ModelConfig, Sampling, Stage, Temperatures, Widths
from models.network import Network, build
from models.pipeline import ImageState, Pipeline, next_step
from models.sampling import reference
from models.sampling.backends.fastest import Fastest
from models.sampling.deal import SamplerName
from models.sampling.slice_request import SliceRequest
from models.subscale import Bytes, Progress
from models.verifier import Verifier, load_verifier, verifier_of

Model = tuple[nn.ModuleDict, ModelCard]

SMALL = ModelConfig(
    geometry=Geometry(size=8, slice_size=4),
    controls=(Control(name=LABEL, values=("one", "two", "three")),),
    widths=dict.fromkeys(Stage, Widths(width=16, blocks=2, heads=2, conv_width=12, embedder_blocks=1)),
)
MOST_GUIDANCE, MOST_CANDIDATES = 3.0, 4
CAPACITY = 50
"""Images at once: eager torch takes hardly longer for them than for 16."""


class ReferencePipeline(Pipeline):
    """A pipeline that draws by `models.sampling.reference`."""

    def sample(self, stage: Stage, requests: Sequence[SliceRequest]) -> Bytes:
        """Draw the symbols of each slice, (n, h, w, C)."""
        symbols = reference.sample(self.network(stage), requests).to(torch.uint8).numpy()
        return symbols.reshape(-1, *self.card.config.geometry.slice_shape)


def model_of(name: str) -> Model:
    """Load a shipped model; its base network is guided by the label if the card guides none."""
    networks, card = load_model(WEIGHTS / name)
    return networks, card if card.guided else guided(card)


def guided(card: ModelCard) -> ModelCard:
    """Return the card of a model whose base network is guided by the label."""
    return replace(card, guided=(Stage.BASE,), unguided_controls=(LABEL,))


def verifier(card: ModelCard) -> Verifier:
    """Return the verifier of the model, or an untrained one, which also selects."""
    torch.manual_seed(0)
    return load_verifier(WEIGHTS / card.name, card) or verifier_of(card.config).eval()


def blank_states(config: ModelConfig, count: int, rng: np.random.Generator) -> list[ImageState]:
    """Return unstarted images with random controls, temperatures, guidances and candidates; seeds count up."""
    return [
        ImageState(
            seed=seed,
            controls=tuple(int(rng.integers(len(c.values) + 1)) for c in config.controls),
            sampling=Sampling(
                temperature=Temperatures(**{stage: float(rng.uniform(0.7, 1.2)) for stage in Stage}),
                guidance=max(1.0, float(rng.uniform(0.5, MOST_GUIDANCE))),
                candidates=int(rng.integers(1, MOST_CANDIDATES + 1)),
            ),
            progress=Progress(geometry=config.geometry),
        )
        for seed in range(count)
    ]


def batches(states: list[ImageState], size: int, what: str) -> Iterator[list[ImageState]]:
    """Yield `states` in batches, with a progress bar."""
    for start in tqdm(range(0, len(states), size), desc=what, leave=False):
        yield states[start : start + size]


@torch.inference_mode()
def fixed_points(model: Model, count: int) -> int:
    """Return how many of `count` images drawn in float64 are fixed points of the model."""
    pipeline = Pipeline(model[0].double(), model[1], capacity=CAPACITY, verifier=verifier(model[1]))
    states, fixed = blank_states(model[1].config, count, np.random.default_rng(1)), 0
    for rows in batches(states, pipeline.capacity, "fixed points"):
        same, drawn = np.ones(len(rows), bool), rows
        while drawn[0].progress.next:
            network, candidates = pipeline.network(next_step(drawn[0]).stage), map(pipeline.candidates, drawn)
            before, drawn = list(candidates), pipeline.advance(drawn)
            same &= [
                is_fixed(network, given, row.progress.slices[-1]) for given, row in zip(before, drawn, strict=True)
            ]
        fixed += int(same.sum())
    return fixed


def is_fixed(network: Network, candidates: Sequence[SliceRequest], drawn: Bytes) -> bool:
    """Return whether the model draws a slice again with the noise of exactly one candidate."""
    inputs = reference.SliceInputs.of(network, candidates)
    symbols = torch.tensor(drawn).long().flatten(0, 1).expand(len(candidates), -1, -1).to(inputs.noise.device)
    again = reference.resample(network, inputs, symbols)
    return int((again == symbols).flatten(1).all(1).sum()) == 1


@torch.inference_mode()
def agreeing_seeds(count: int) -> int:
    """Return how many of `count` seeds of a small random model give the same image by all three samplers."""
    networks = build(SMALL).double().eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in networks.parameters():
        parameter.data.normal_(0, 0.3, generator=generator)
    card, same = guided(ModelCard(name="small", config=SMALL, sha256="", parameters=0)), 0
    judge = verifier(card)
    pipelines = [Pipeline(networks, card, capacity=100, sampler=sampler, verifier=judge) for sampler in SamplerName]
    pipelines.append(ReferencePipeline(networks, card, capacity=100, verifier=judge))
    for rows in batches(blank_states(SMALL, count, np.random.default_rng(2)), 100, "samplers"):
        drawn = [finished(pipeline, rows) for pipeline in pipelines]
        same += sum(len(set(images)) == 1 for images in zip(*drawn, strict=True))
    return same


def finished(pipeline: Pipeline, rows: list[ImageState]) -> list[bytes]:
    """Return the complete images."""
    while rows[0].progress.next:
        rows = pipeline.advance(rows)
    return [row.progress.image().tobytes() for row in rows]


def differing(model: Model, count: int) -> int:
    """Return on how many of `count` images cached and parallel differ, compiled in the serving dtype."""
    judge = verifier(model[1])
    sides = [
        Pipeline(*model, capacity=CAPACITY, sampler=sampler, verifier=judge, backend=Fastest(ARTEFACTS))
        for sampler in SamplerName
    ]
    return unequal(sides, model, count, "serving dtype")


def differing_from_torch(model: Model, count: int) -> int:
    """Return on how many of `count` images C++ and torch differ in float32."""
    judge = verifier(model[1])
    torch_only = Pipeline(*model, capacity=CAPACITY, verifier=judge)
    native = Pipeline(*model, capacity=CAPACITY, verifier=judge, backend=Fastest(ARTEFACTS, bfloat16=False))
    return unequal([torch_only, native], model, count, "C++ and torch")


def unequal(sides: Sequence[Pipeline], model: Model, count: int, what: str) -> int:
    """Return on how many of `count` images two pipelines differ."""
    states, found = blank_states(model[1].config, count, np.random.default_rng(3)), 0
    for rows in batches(states, CAPACITY, what):
        one, other = (finished(side, rows) for side in sides)
        found += sum(a != b for a, b in zip(one, other, strict=True))
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Whether the samplers are exact.")
    parser.add_argument("--model", default="symbols-64")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found = {
        "model": args.model,
        "pictures": args.images,
        "cached_and_parallel_differ": differing(model_of(args.model), args.images),
        "native_and_torch_differ_in_float32": differing_from_torch(model_of(args.model), args.images),
        "fixed_points_in_float64": fixed_points(model_of(args.model), args.images),
        "seeds": args.seeds,
        "three_samplers_agree": agreeing_seeds(args.seeds),
    }
    print(json.dumps(found, indent=1))
    DOCS.mkdir(parents=True, exist_ok=True)
    Path(DOCS / f"exactness-{args.model}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
