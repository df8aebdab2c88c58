"""A row of the matrix, trial after trial, and its result."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import httpx
import redis

from benchmarks.site import MODEL, save_toy
from tests.chaos.deadlines import NotHeldError
from tests.chaos.stand import Plan, Stand
from tests.chaos.submitted import SEEDS, References, pixels
from tests.chaos.trial import Found, Row, Trial
from tests.chaos.watch import Watch


@dataclass(kw_only=True)
class Result:
    """Result of a row."""

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
        row = f"| {self.fault} | {self.must} | {self.repeated} | {self.held} | {self.worst_recovery_seconds:.1f} | "
        return row + "; ".join(note) + " |"


class Rehearsals:
    """Runs rows, each trial on the stand of its row."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.models = folder, folder / "models"
        self._over = Event()
        self._open: set[Stand] = set()
        save_toy(self.models / MODEL)
        self.references: References = {}

    def learn(self, stand: Stand) -> None:
        """Generate the reference images, without a fault."""
        with Watch(stand, {}, SEEDS) as watch:
            watch.wait()
            watch.check()
            self.references = {submitted.seed: pixels(stand, submitted) for submitted in watch.submitted}

    def run(self, row: Row, repeats: int) -> Result:
        """All trials of a row."""
        result, started = Result(name=row.name, fault=row.fault, must=row.must), time.monotonic()
        while result.repeated < repeats and not self._over.is_set():
            self._run(row, repeats, result)
        result.seconds = round(time.monotonic() - started)
        print(f"{row.name}: {result.held} of {repeats} in {result.seconds} s", file=sys.stderr, flush=True)
        return result

    def abandon(self) -> None:
        """End all processes; what runs in other threads then fails."""
        self._over.set()
        for stand in tuple(self._open):
            stand.close()

    @contextmanager
    def _stand(self, folder: Path, plan: Plan) -> Iterator[Stand]:
        with Stand(folder, self.models, plan) as stand:
            self._open.add(stand)
            try:
                yield stand
            finally:
                self._open.discard(stand)

    def _run(self, row: Row, repeats: int, result: Result) -> None:
        """Trials until one fails, or none is left."""
        with self._stand(self.folder / f"{row.name}-{result.repeated}", row.plan) as stand:
            while result.repeated < repeats and not self._over.is_set():
                number = result.repeated
                result.repeated += 1
                trial = Trial(stand=stand, number=number, rng=rng(row, number), references=self.references)
                try:
                    found = row.trial(trial)
                    stand.ready()
                    result.add(found)
                except (NotHeldError, httpx.HTTPError, redis.RedisError) as error:
                    result.failures.append(f"{number}: {type(error).__name__} {error}")
                    print(f"{row.name} {result.failures[-1]} ({stand.folder})", file=sys.stderr, flush=True)
                    return


def rng(row: Row, number: int) -> random.Random:
    """The same for every run of a trial."""
    return random.Random(f"{row.name} {number}")  # noqa: S311 - a benchmark's rng
