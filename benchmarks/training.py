"""Training speed beside another revision: `python -m benchmarks.training --against eca3427`.

Both sides train the same networks on the same examples, with one thread each, in turn. The result is slices per second and
core, their ratio, and the distance of the loss curves, as a table and as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from benchmarks.training_side import BATCH
from models.config import Stage
from training.scoring.scores import markdown

ROOT: Final = Path(__file__).resolve().parent.parent
SIDE: Final = Path(__file__).with_name("training_side.py")

_SKIPPED: Final = 3
"""Updates before the clock counts: memory and kernels are set up in them."""

_LAST: Final = 10
"""Updates at the end whose mean is compared."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Slices per second of the updates of one network in both revisions, and the mean bits/dim of the last updates."""

    stage: str
    here: float
    there: float
    here_bits: float
    there_bits: float

    @property
    def ratio(self) -> float:
        """The speed of this revision relative to the other one."""
        return self.here / self.there


def compare(stage: Stage, other: Path, *, updates: int, rounds: int) -> Comparison:
    """Run both sides in turn; speeds are medians over all counted updates of all rounds."""
    sides: dict[Path, list[dict[str, list[float]]]] = {ROOT: [], other: []}
    for _ in range(rounds):
        for tree, runs in sides.items():
            runs.append(run(tree, stage, updates))
    speeds = {
        tree: BATCH / median([each for one in runs for each in one["seconds"][_SKIPPED:]])
        for tree, runs in sides.items()
    }
    bits = {tree: float(np.mean(runs[0]["bits"][-_LAST:])) for tree, runs in sides.items()}
    return Comparison(
        stage=stage.value, here=speeds[ROOT], there=speeds[other], here_bits=bits[ROOT], there_bits=bits[other]
    )


def run(tree: Path, stage: Stage, updates: int) -> dict[str, list[float]]:
    """Run one side in its own process."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", str(SIDE), stage.value, str(updates)]  # -P: not the side's own folder
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Check out another revision of this repository in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), revision], cwd=ROOT, check=True)  # noqa: S607
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)  # noqa: S607


def table(comparisons: list[Comparison]) -> str:
    """Return all comparisons as a Markdown table."""
    rows = [
        [c.stage, f"{c.there:.1f}", f"{c.here:.1f}", f"{c.ratio:.2f}", f"{c.there_bits:.4f}", f"{c.here_bits:.4f}"]
        for c in comparisons
    ]
    return markdown(["network", "slices/s there", "slices/s here", "ratio", "bits/dim there", "bits/dim here"], rows)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Training speed beside another revision.")
    parser.add_argument("--against", required=True, help="revision of the other side")
    parser.add_argument("--stages", nargs="+", type=Stage, choices=list(Stage), default=list(Stage))
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("docs/benchmarks/training.json"))
    args = parser.parse_args()
    with checkout(args.against) as other:
        found = [compare(stage, other, updates=args.updates, rounds=args.rounds) for stage in args.stages]
    print(table(found))
    record = {"against": args.against, "networks": [{**asdict(c), "ratio": c.ratio} for c in found]}
    args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
