"""The failure matrix over real processes: `python -m benchmarks.failures`.

Every row gets a Redis with its append-only file, an API process and workers with a toy model of its own, and the same
fault again and again. A trial in which something does not hold is told, and the row goes on with a new set of processes.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import httpx
import redis

from benchmarks.failures.matrix import ROWS
from benchmarks.failures.orders import SEEDS, References, pixels
from benchmarks.failures.stand import NotHeldError, Plan, Stand
from benchmarks.failures.trial import Found, Row, Trial
from benchmarks.failures.watch import Watch
from benchmarks.site import MODEL, save_toy

JSON = Path("docs/benchmarks/failures.json")
PAGE = Path("docs/failures.md")
BEGIN, END = "<!-- begin: python -m benchmarks.failures -->", "<!-- end -->"
HEAD = "| fault | must hold | repeated | held | worst recovery, s | note |\n|---|---|---|---|---|---|\n"


@dataclass(kw_only=True)
class Result:
    """What became of a row."""

    name: str
    fault: str
    must: str
    repeated: int = 0
    held: int = 0
    worst_recovery_seconds: float = 0
    seconds: float = 0
    counts: dict[str, int] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, found: Found) -> None:
        """A trial in which all held."""
        self.held += 1
        self.worst_recovery_seconds = round(max(self.worst_recovery_seconds, found.recovery_seconds), 2)
        for what, count in found.counts.items():
            self.counts[what] = self.counts.get(what, 0) + count
        for what, seconds in found.worst.items():
            self.worst[what] = round(max(self.worst.get(what, 0), seconds), 2)

    def line(self) -> str:
        """A row of the table."""
        note = [f"{count} {what}" for what, count in self.counts.items()]
        note += [f"{what} {seconds:.1f} s at most" for what, seconds in self.worst.items()]
        told = f"| {self.fault} | {self.must} | {self.repeated} | {self.held} | {self.worst_recovery_seconds:.1f} | "
        return told + "; ".join(note) + " |"


class Rehearsals:
    """Runs rows, each trial on the stand of its row."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._models = folder, folder / "models"
        save_toy(self._models / MODEL)
        self.references: References = {}

    def learn(self) -> None:
        """What the pictures look like when nothing fails."""
        with Stand(self._folder / "calm", self._models, Plan(slice_seconds=0)) as stand:
            self.references = calm(stand)

    def run(self, row: Row, repeats: int) -> Result:
        """All trials of a row."""
        result, begun = Result(name=row.name, fault=row.fault, must=row.must), time.monotonic()
        while result.repeated < repeats:
            self._run(row, repeats, result)
        result.seconds = round(time.monotonic() - begun)
        return result

    def _run(self, row: Row, repeats: int, result: Result) -> None:
        """Trials until one fails, or none is left."""
        with Stand(self._folder / f"{row.name}-{result.repeated}", self._models, row.plan) as stand:
            while result.repeated < repeats:
                number = result.repeated
                result.repeated += 1
                trial = Trial(stand=stand, number=number, dice=dice(row, number), references=self.references)
                try:
                    result.add(row.trial(trial))
                    stand.ready()
                except (NotHeldError, httpx.HTTPError, redis.RedisError) as error:
                    result.failures.append(f"{number}: {type(error).__name__} {error}")
                    print(f"{row.name} {result.failures[-1]} ({stand.folder})", file=sys.stderr, flush=True)
                    return


def dice(row: Row, number: int) -> random.Random:
    """The same for every run of a trial."""
    return random.Random(f"{row.name} {number}")  # noqa: S311 - a benchmark's dice


def calm(stand: Stand) -> References:
    """One undisturbed job per seed."""
    with Watch(stand, {}, SEEDS) as watch:
        watch.wait()
        watch.check()
        return {placed.seed: pixels(stand, placed) for placed in watch.orders}


def table(results: Iterable[Result]) -> str:
    """For people."""
    return HEAD + "\n".join(result.line() for result in results) + "\n"


def write(results: list[Result]) -> None:
    """JSON, and the table in its page."""
    JSON.parent.mkdir(parents=True, exist_ok=True)
    JSON.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(results)}{END}{rest.partition(END)[2]}")


def stopped(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM: leave as by Ctrl-C, so that no process stays behind."""
    raise KeyboardInterrupt


def main() -> int:
    """The command line; exit status 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description="The failure matrix over real processes.")
    parser.add_argument("--quick", action="store_true", help="a few trials of each row")
    parser.add_argument("--only", choices=[row.name for row in ROWS], help="one row; nothing is written")
    parser.add_argument("--lanes", type=int, default=3, help="rows at a time")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, stopped)
    rows = [row for row in ROWS if args.only in {None, row.name}]
    with TemporaryDirectory(prefix="failures-") as name:
        rehearsals = Rehearsals(Path(name))
        rehearsals.learn()
        with ThreadPoolExecutor(args.lanes) as lanes:
            running = [lanes.submit(rehearsals.run, row, row.quick if args.quick else row.repeats) for row in rows]
            results = [each.result() for each in running]
    print(table(results))
    if not args.only:
        write(results)
    return int(any(result.failures for result in results))


if __name__ == "__main__":
    sys.exit(main())
