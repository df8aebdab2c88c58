"""The cost of an image by its size: `python -m benchmarks.scaling`.

Random weights of one width at 64, 128 and 256 pixels in 16 x 16 interlaced slices. The slice in the middle of each stage is
drawn by compiled code and its seconds multiplied by how many the image has, decoder and embedder apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from benchmarks.sampling import ARTEFACTS, DOCS
from models.cards import ModelCard
from models.config import Geometry, ModelConfig, Order, Stage, Widths
from models.network import build
from models.pipeline import ImageState, Pipeline, next_step
from models.sampling.backends.fastest import Fastest
from models.subscale import Progress

SIZES = (64, 128, 256)


@dataclass(frozen=True, kw_only=True)
class ScalingRow:
    """One size: seconds of a whole image; bytes of the three decoders, and of their boards with all caches."""

    size: int
    slices: int
    parameters: int
    decoder_seconds: float
    embedder_seconds: float
    decoder_bytes: int
    board_bytes: int


def row(size: int, repeats: int) -> ScalingRow:
    """Measure slices in the middle of a random image."""
    widths = Widths(width=96, blocks=4, heads=3, conv_width=48, embedder_blocks=2)
    geometry = Geometry(size=size, slice_size=16, order=Order.INTERLACED)
    config = ModelConfig(geometry=geometry, controls=(), widths=dict.fromkeys(Stage, widths))
    torch.manual_seed(0)
    networks = build(config).eval().requires_grad_(requires_grad=False)
    parameters = sum(p.numel() for p in networks.parameters())
    card = ModelCard(name=f"random-{size}", config=config, sha256="", parameters=parameters)
    pipeline = Pipeline(networks, card, backend=Fastest(ARTEFACTS))
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    decoder, embedder = 0.0, 0.0
    for stage in config.geometry.stages:
        steps = [i for i, step in enumerate(config.geometry.steps) if step.stage is stage]
        done = Progress.of(image, config.geometry, steps[len(steps) // 2])
        both, alone = seconds_of(pipeline, ImageState(seed=1, controls=(), progress=done), repeats)
        embedder += alone * len(steps)
        decoder += (both - alone) * len(steps)
    return ScalingRow(
        size=size,
        slices=len(config.geometry.steps),
        parameters=parameters,
        decoder_seconds=round(decoder, 3),
        embedder_seconds=round(embedder, 3),
        decoder_bytes=sum(bytes_of(pipeline.network(stage).decoder) for stage in pipeline.engines),
        board_bytes=sum(engine.workspace.board.nbytes for engine in pipeline.engines.values()),
    )


@torch.inference_mode()
def seconds_of(pipeline: Pipeline, state: ImageState, repeats: int) -> tuple[float, float]:
    """Return the median seconds of the next slice, and those of its embedder and noise alone."""
    whole, alone, engine = [], [], pipeline.engines[next_step(state).stage]
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        engine.backend.fill([0], pipeline.candidates(state)[:1])
        alone.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        pipeline.advance([state])
        whole.append(time.perf_counter() - begun)
    return statistics.median(whole[1:]), statistics.median(alone[1:])


def bytes_of(module: nn.Module) -> int:
    """Return the bytes of all weights."""
    return sum(tensor.nbytes for tensor in module.state_dict().values())


def exponent(rows: list[ScalingRow]) -> float:
    """Return the least-squares slope of log seconds, embedder included, over log pixels: 1 is linear."""
    pixels, seconds = [r.size**2 for r in rows], [r.decoder_seconds + r.embedder_seconds for r in rows]
    return float(np.polyfit(np.log(pixels), np.log(seconds), 1)[0])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="The cost of an image by its size.")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = [row(size, args.repeats) for size in tqdm(SIZES, leave=False)]
    print(
        "| size | slices | parameters | decoder s | embedder s | decoder MiB | boards MiB |\n|---|---|---|---|---|---|---|"
    )
    for r in rows:
        print(
            f"| {r.size} | {r.slices} | {r.parameters:,} | {r.decoder_seconds:.2f} | {r.embedder_seconds:.2f} | "
            f"{r.decoder_bytes / 2**20:.1f} | {r.board_bytes / 2**20:.1f} |"
        )
    print(f"seconds grow as pixels to the power {exponent(rows):.3f}")
    DOCS.mkdir(parents=True, exist_ok=True)
    found = {"rows": [asdict(r) for r in rows], "exponent": exponent(rows)}
    (DOCS / "scaling.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
