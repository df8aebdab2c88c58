"""The failure matrix over real processes: `python -m tests.chaos`.

Every row gets a Redis with its append-only file, an API process and workers with a toy model of its own, and the same
fault again and again. A trial in which something does not hold is printed, and the row goes on with a new set of processes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from tests.chaos.deadlines import TIME_FACTOR
from tests.chaos.matrix import ROWS
from tests.chaos.repeats import Rehearsals, Result
from tests.chaos.stand import Plan, Stand
from tests.chaos.trial import Row

JSON = Path("docs/benchmarks/failures.json")
PAGE = Path("docs/failures.md")
BEGIN, END = "<!-- begin: python -m tests.chaos -->", "<!-- end -->"
INTERRUPTED = 130

LONGEST = "redis-away"
"""The longest row starts first, so that it is not the last one in its lane."""

HEAD = "| fault | must hold | repeated | held | worst recovery, s | note |\n|---|---|---|---|---|---|\n"


def run(rehearsals: Rehearsals, rows: Sequence[Row], repeats: Mapping[str, int], *, lanes: int) -> list[Result]:
    """Return the results of `rows`, several at a time."""
    with Stand(rehearsals.folder / "undisturbed", rehearsals.models, Plan(slice_seconds=0)) as stand:
        rehearsals.learn(stand)
    pool = ThreadPoolExecutor(lanes)
    ordered = sorted(rows, key=lambda row: row.name != LONGEST)
    started = {row.name: pool.submit(rehearsals.run, row, repeats[row.name]) for row in ordered}
    return [started[row.name].result() for row in rows]


def table(results: Iterable[Result]) -> str:
    """Return the table in Markdown."""
    limits = (
        "" if TIME_FACTOR == 1 else f"All time limits times {TIME_FACTOR:g}, on a machine that other programs used.\n\n"
    )
    return limits + HEAD + "\n".join(result.line() for result in results) + "\n"


def write(results: list[Result]) -> None:
    """Write the JSON, and the table in its page."""
    JSON.parent.mkdir(parents=True, exist_ok=True)
    JSON.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(results)}{END}{rest.partition(END)[2]}")


def stopped(_signal: int, _frame: FrameType | None) -> None:
    """End at SIGTERM as at Ctrl-C, so that no process is left."""
    raise KeyboardInterrupt


def main() -> int:
    """Run the command line. Exit status 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description="The failure matrix over real processes.")
    parser.add_argument("--quick", action="store_true", help="a few trials of each row")
    parser.add_argument("--only", choices=[row.name for row in ROWS], help="one row; nothing is written")
    parser.add_argument("--lanes", type=int, default=3, help="rows at a time")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, stopped)
    rows = [row for row in ROWS if args.only in {None, row.name}]
    repeats = {row.name: row.quick if args.quick else row.repeats for row in rows}
    with TemporaryDirectory(prefix="failures-", ignore_cleanup_errors=True) as name:
        rehearsals = Rehearsals(Path(name))
        try:
            results = run(rehearsals, rows, repeats, lanes=args.lanes)
        except KeyboardInterrupt:
            rehearsals.abandon()
            results = []
    if not results:
        os._exit(INTERRUPTED)  # its threads still wait
    print(table(results))
    if not args.only:
        write(results)
    return int(any(result.failures for result in results))


if __name__ == "__main__":
    sys.exit(main())
