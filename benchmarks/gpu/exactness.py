"""Whether the sampler of the device is exact and reproducible.

- `fixed_points`: slices sampled in float64 that one teacher-forced pass with their noise gives again
- `alone`: slices that differ when an image is sampled alone instead of in a full batch
- `resumed`: slices that differ when the finished part of an image is read from bytes first
- `processes`: numerics ids and digests of another process that differ from this one's
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import torch

from benchmarks.exactness import is_fixed
from benchmarks.gpu.section import SectionOptions, loaded, middle_states, options, report
from benchmarks.sampling import ARTEFACTS
from models.config import Stage
from models.pipeline import ImageState, Pipeline
from models.sampling.backends.fastest import Fastest
from models.subscale import Progress

ROWS = 8
DIGEST = "--digest"


def slices_of(pipeline: Pipeline, states: list[ImageState]) -> list[bytes]:
    """Return the next slice of each state."""
    return [state.progress.slices[-1].tobytes() for state in pipeline.advance(states)]


def serving(chosen: SectionOptions) -> Pipeline:
    """Return the pipeline that a worker would have, of `ROWS` rows."""
    networks, card = loaded(chosen)
    return Pipeline(networks, card, capacity=ROWS, backend=Fastest(ARTEFACTS))


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
    pipeline, wrong = serving(chosen), 0
    if own:
        report(**digest(pipeline))
        return 0
    for stage in pipeline.engines:
        states = middle_states(pipeline.card, stage, ROWS)
        together = slices_of(pipeline, states)
        alone = [slices_of(pipeline, [state])[0] for state in states]
        resumed = slices_of(pipeline, [reread(state) for state in reversed(states)])[::-1]
        differing = {
            "alone": sum(a != b for a, b in zip(together, alone, strict=True)),
            "resumed": sum(a != b for a, b in zip(together, resumed, strict=True)),
        }
        fixed = fixed_points(chosen, stage)
        report(stage=stage, rows=ROWS, fixed_points=fixed, **differing)
        wrong += ROWS - fixed + sum(differing.values())
    here, there = digest(pipeline), another_digest(chosen)
    report(processes=int(here != there), **here)
    return int(wrong > 0 or here != there)


if __name__ == "__main__":
    sys.exit(main())
