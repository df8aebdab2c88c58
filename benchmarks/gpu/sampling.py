"""Images per second by batch, from one slice of each network; and how near the ceilings of the device that is.

- `seconds_per_image`: of a batch, divided by its images; every slice of a network counts as the measured one
- `ms_per_pass`: of the depth network
- `share_of_products`: multiply-adds of accepted pixels, of all that the device does meanwhile at most
- `share_of_reads`: weights once a pass, and keys and values of half a slice for each pixel, of all that it reads at most
"""

from __future__ import annotations

import sys
import time

import torch
from torch import nn

from benchmarks.gpu.ceilings import product_flops, read_bytes_per_second
from benchmarks.gpu.section import backends, loaded, middle_states, options, report, synchronise
from benchmarks.sampling import multiply_adds
from models.decoder import Decoder
from models.pipeline import Pipeline

BATCHES = (1, 32, 256, 1024)
ERROR_CHARACTERS = 500
BYTES = 2
"""Bytes of a weight, a key and a value: bfloat16."""


def bytes_read(decoder: Decoder, pixels: int, passes: int) -> int:
    """Return the least bytes that passes through a decoder read."""
    weights = sum(layer.weight.numel() for layer in decoder.modules() if isinstance(layer, nn.Linear))
    half_a_slice = decoder.slice_size**2 // 2 * 2 * decoder.widths.width * decoder.widths.blocks
    return BYTES * (weights * passes + half_a_slice * pixels)


def measured(device: str, pipeline: Pipeline, name: str, ceilings: tuple[float, float]) -> None:
    """Report one backend with batches of its capacity."""
    batch = pipeline.capacity
    geometry = pipeline.card.config.geometry
    total, work, read, depth = 0.0, 0, 0, {}
    for stage, engine in pipeline.engines.items():
        states, slices = middle_states(pipeline.card, stage, batch), sum(s.stage is stage for s in geometry.steps)
        pipeline.advance(states)
        synchronise(device)
        started, passes = time.perf_counter(), engine.passes
        pipeline.advance(states)
        synchronise(device)
        seconds, passes = time.perf_counter() - started, engine.passes - passes
        decoder, pixels = pipeline.network(stage).decoder, geometry.positions * batch
        total += slices * seconds
        work += slices * 2 * multiply_adds(decoder) * pixels
        read += slices * bytes_read(decoder, pixels, passes)
        depth = {"ms_per_pass": 1000 * seconds / passes, "passes": passes}
    report(
        batch=batch,
        backend=name,
        numerics=pipeline.numerics,
        images_per_second=batch / total,
        seconds_per_image=total / batch,
        **depth,
        share_of_products=work / total / ceilings[0],
        share_of_reads=read / total / ceilings[1],
    )


def main() -> None:
    """Report each batch with each backend, until one fails: by memory, or because this torch cannot compile it."""
    chosen = options()
    on_cuda = torch.device(chosen.device).type == "cuda"
    ceilings = (
        product_flops(chosen.device, 8192 if on_cuda else 256),
        read_bytes_per_second(chosen.device, 1024 if on_cuda else 16),
    )
    model, serviceable = loaded(chosen), backends()
    for batch in BATCHES if on_cuda else BATCHES[:1]:
        for name, backend in list(serviceable.items()):
            try:
                measured(chosen.device, Pipeline(*model, capacity=batch, backend=backend), name, ceilings)
            except Exception as error:  # noqa: BLE001 - whatever fails, the other backend is measured
                del serviceable[name]
                report(batch=batch, backend=name, error=f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS])
    if not serviceable:
        sys.exit("no backend could be measured")


if __name__ == "__main__":
    main()
