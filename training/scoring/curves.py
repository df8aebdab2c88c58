"""Training curves from the journals of a run: `python -m training.scoring.curves runs/symbols-64 curves.png`."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.config import Stage
from training.loop.run_journal import rows_of
from training.scoring.plots import plot_curves


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Plot bits/dim of each stage over its minutes of training.")
    parser.add_argument("run", type=Path, help="folder of STAGE.csv")
    parser.add_argument("plot", type=Path)
    args = parser.parse_args()
    curves = {stage.value: rows_of(args.run / f"{stage}.csv") for stage in Stage}
    plot_curves(
        {stage: [(row.seconds / 60, row.bits_per_dim) for row in rows] for stage, rows in curves.items()}, args.plot
    )


if __name__ == "__main__":
    main()
