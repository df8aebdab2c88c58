"""A row of the matrix, trial after trial, and what became of it."""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis

from benchmarks.failures.deadlines import NotHeldError
from benchmarks.failures.orders import SEEDS, References, pixels
from benchmarks.failures.stand import Stand
from benchmarks.failures.trial import Found, Row, Trial
from benchmarks.failures.watch import Watch
from benchmarks.site import MODEL, save_toy


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
        self._folder, self.models = folder, folder / "models"
        save_toy(self.models / MODEL)
        self.references: References = {}

    def learn(self, stand: Stand) -> None:
        """What the pictures look like when nothing fails."""
        with Watch(stand, {}, SEEDS) as watch:
            watch.wait()
            watch.check()
            self.references = {placed.seed: pixels(stand, placed) for placed in watch.orders}

    def run(self, row: Row, repeats: int) -> Result:
        """All trials of a row."""
        result, begun = Result(name=row.name, fault=row.fault, must=row.must), time.monotonic()
        while result.repeated < repeats:
            self._run(row, repeats, result)
        result.seconds = round(time.monotonic() - begun)
        print(f"{row.name}: {result.held} of {repeats} in {result.seconds} s", file=sys.stderr, flush=True)
        return result

    def _run(self, row: Row, repeats: int, result: Result) -> None:
        """Trials until one fails, or none is left."""
        with Stand(self._folder / f"{row.name}-{result.repeated}", self.models, row.plan) as stand:
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
