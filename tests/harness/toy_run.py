"""A run of a toy network as a process of its own, to be killed, stopped or run in parallel: `python -m tests.harness.toy_run`.

With `--steps N` it writes the bits/dim of N steps as JSON to PATH; without, it trains until it is stopped.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

import torch

from models.config import Stage
from models.network import Network
from tests.harness.flat import GEOMETRY, Flat
from tests.harness.toy import toy_config
from training.loop.checkpoints import resume_from
from training.loop.minibatches import ExampleSource, Prefetcher
from training.loop.ranks import process_group
from training.loop.recipe import Recipe
from training.loop.trainer import Trainer
from training.train import steps, train


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe(
        batch=args.batch,
        accumulate=args.accumulate,
        seed=args.seed,
        minutes=60.0,
        save_every_minutes=0.0,
        warmup_steps=5,
    )
    with process_group("cpu") as (ranks, device):
        torch.manual_seed(ranks.rank)  # the other processes start with other weights, which the first one replaces
        network = Network(toy_config(GEOMETRY), Stage.SIZE).to(device)
        trainer = Trainer(network, recipe, parallel=ranks.count > 1)
        source = ExampleSource(data=Flat(), stage=Stage.SIZE, geometry=GEOMETRY, recipe=recipe, ranks=ranks)
        if args.steps is None:
            resume_from(trainer, args.path)
            train(trainer, source, args.path)
            return
        with Prefetcher(source, 0) as prefetcher:
            bits = [
                report.bits_per_dim for report in islice(steps(trainer, prefetcher, ranks, lambda: False), args.steps)
            ]
        if ranks.is_first:
            args.path.write_text(json.dumps(bits))


if __name__ == "__main__":
    main()
