"""Whether the persistent kernel samples what torch does, with the sizes of a model: `python -m benchmarks.kernel_equality`.

Without a GPU it runs in Triton's interpreter, for minutes: one slice of `--rows` images of one network, in float32.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from benchmarks.gpu.section import MODEL, middle_states
from models.checkpoint import load_model
from models.config import Stage, Temperatures
from models.pipeline import Pipeline
from models.sampling.batch_filling import uncaptured


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="The persistent kernel and torch, sub-pixel by sub-pixel.")
    parser.add_argument("--stage", type=Stage, choices=list(Stage), default=Stage.DEPTH)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument(
        "--windows", action="store_true", help="a program for each row, instead of many rows in a program"
    )
    args = parser.parse_args()
    stage, rows = args.stage, args.rows
    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported
    from models.sampling.backends.persistent import PersistentBackend  # noqa: PLC0415 - as above

    networks, card = load_model(MODEL)
    networks.to("cuda" if torch.cuda.is_available() else "cpu")
    states = [
        replace(state, sampling=replace(state.sampling, temperature=Temperatures.alike((1.0, 0.8)[state.seed % 2])))
        for state in middle_states(card, stage, rows)
    ]
    plain = Pipeline(networks, card, capacity=rows)
    backend = partial(PersistentBackend, bfloat16=False, capture=uncaptured, programs=rows if args.windows else 0)
    kernel = Pipeline(networks, card, capacity=rows, backend=backend)
    expected, found = (
        np.stack([state.progress.slices[-1] for state in each.advance(states)]) for each in (plain, kernel)
    )
    equal, passes = int((expected == found).sum()), kernel.engines[stage].passes
    print(json.dumps({"stage": stage, "sub_pixels": expected.size, "equal": equal, "passes": passes}))


if __name__ == "__main__":
    main()
