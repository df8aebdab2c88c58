"""One command per table: `python -m benchmarks.evidence train`, then `... --table bits` and so on (docs/evidence.md)."""

from __future__ import annotations

import argparse

import torch

from benchmarks.evidence.contestants import SIZE, contestants
from benchmarks.evidence.runs import Run, train
from training.data.symbols import Symbols


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train"])
    parser.add_argument("--minutes", type=float, default=15.0, help="processor time of each model in all")
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = Symbols.load(size=SIZE)
    runs = [
        Run(contestant=contestant, seed=seed, minutes=args.minutes)
        for seed in range(args.seeds)
        for contestant in contestants(data.controls)
    ]
    for run in runs:
        if not train(run, data):
            return
        print(f"{run.contestant.title}, seed {run.seed}: {run.spent_seconds:.0f} s, steps {run.steps}", flush=True)


if __name__ == "__main__":
    main()
