"""Whether the sampler of the device is exact and reproducible.

- `fixed_points`: slices sampled in float64 that one teacher-forced pass with their noise gives again
- `alone`: slices that differ when an image is sampled alone instead of in a full batch
- `resumed`: slices that differ when the finished part of an image is read from bytes first
- `shapes`: slices that differ between the two tiles of the persistent kernel
- `processes`: numerics ids and digests of another process that differ from this one's
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from benchmarks.exactness import is_fixed
from benchmarks.gpu.section import SectionOptions, backends, loaded, middle_states, options, report
from models.config import Stage
from models.pipeline import ImageState, Pipeline
from models.subscale import Progress

ROWS = 8
DIGEST = "--digest"


def slices_of(pipeline: Pipeline, states: list[ImageState]) -> list[bytes]:
    """Return the next slice of each state."""
    return [state.progress.slices[-1].tobytes() for state in pipeline.advance(states)]


def pipelines(chosen: SectionOptions) -> dict[str, Pipeline]:
    """Return a pipeline of `ROWS` rows for each backend, and for the other shape of the kernel's tile."""
    model, found = loaded(chosen), backends()
    if kernel := found.get("persistent"):
        found["persistent rows"] = partial(kernel, programs=0)  # type: ignore[call-arg] # that of PersistentBackend
    return {name: Pipeline(*model, capacity=ROWS, backend=backend) for name, backend in found.items()}


@torch.inference_mode()
def fixed_points(chosen: SectionOptions, stage: Stage) -> int:
    """Return how many of `ROWS` slices in float64 are fixed points."""
    networks, card = loaded(chosen)
    pipeline = Pipeline(networks.double(), card, capacity=ROWS)
    states = middle_states(card, stage, ROWS)
    inputs = [pipeline.candidates(state) for state in states]
    advanced = pipeline.advance(states)
    network = pipeline.network(stage)
    return sum(is_fixed(network, each, state.progress.slices[-1]) for each, state in zip(inputs, advanced, strict=True))


def reread(state: ImageState) -> ImageState:
    """Return the state with its progress from bytes, as a worker reads it from Redis."""
    slices = tuple(np.frombuffer(each.tobytes(), np.uint8).reshape(each.shape) for each in state.progress.slices)
    return replace(state, progress=Progress(geometry=state.progress.geometry, slices=slices))


def differing(pipeline: Pipeline, states: list[ImageState], other_shape: Pipeline | None) -> dict[str, int]:
    """Return how many slices differ from those of the full batch."""
    together = slices_of(pipeline, states)
    others = {
        "alone": [slices_of(pipeline, [state])[0] for state in states],
        "resumed": slices_of(pipeline, [reread(state) for state in reversed(states)])[::-1],
        **({"shapes": slices_of(other_shape, states)} if other_shape else {}),
    }
    return {name: sum(a != b for a, b in zip(together, found, strict=True)) for name, found in others.items()}


def digest(pipeline: Pipeline) -> dict[str, str]:
    """Return the numerics id and a digest of slices of all networks."""
    found = hashlib.sha256()
    for stage in pipeline.engines:
        for each in slices_of(pipeline, middle_states(pipeline.card, stage, ROWS)):
            found.update(each)
    return {"numerics": pipeline.numerics, "sha256": found.hexdigest()}


def another_digest(chosen: SectionOptions) -> dict[str, str]:
    """Return the digest of another process."""
    command = [sys.executable, "-m", "benchmarks.gpu.exactness", DIGEST, "--device", chosen.device]
    output = subprocess.run([*command, "--model", chosen.model], stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, str] = json.loads(output.splitlines()[-1])
    return found


def main() -> int:
    """Report all of it; exit status 1 if anything is not exact. With `--digest` only that of this process."""
    if own := DIGEST in sys.argv:
        sys.argv.remove(DIGEST)
    chosen = options()
    compared = pipelines(chosen)
    pipeline, wrong = compared["serving"], 0
    if own:
        report(**digest(pipeline))
        return 0
    for stage in pipeline.engines:
        fixed = fixed_points(chosen, stage)
        report(stage=stage, rows=ROWS, fixed_points=fixed)
        wrong += ROWS - fixed
        for name, each in compared.items():
            found = differing(each, middle_states(each.card, stage, ROWS), compared.get(f"{name} rows"))
            report(stage=stage, backend=name, **found)
            wrong += sum(found.values())
    here, there = digest(pipeline), another_digest(chosen)
    report(processes=int(here != there), **here)
    return int(wrong > 0 or here != there)


if __name__ == "__main__":
    sys.exit(main())
