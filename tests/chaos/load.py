"""Callers that submit all the time, and what becomes of all that was acknowledged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from threading import Event, Lock, Thread
from typing import Self

import httpx

from benchmarks.site import MODEL
from service.contract.redis_keys import Keys
from tests.chaos.deadlines import NotHeldError, until
from tests.chaos.stand import Stand
from tests.chaos.submitted import References, RefusedError, SubmittedJob, check_succeeded, submit

CALLERS = 4
PAUSE_SECONDS = 0.15
END_SECONDS = 90


@dataclass(frozen=True, kw_only=True)
class Acknowledged:
    """A job, and when its 202 was there."""

    submitted: SubmittedJob
    at: float


class Load:
    """Submits ordinary jobs from four callers while it is open; `refused` counts the other answers."""

    def __init__(self, stand: Stand, seeds: Sequence[int]) -> None:
        self._stand, self._seeds = stand, seeds
        self._over, self._lock = Event(), Lock()
        self.acknowledged: list[Acknowledged] = []
        self.refused: Counter[str] = Counter()
        self.slowest_refusal = 0.0
        self._threads = [Thread(target=self._submit, args=(number,), daemon=True) for number in range(CALLERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def check_refusals(self) -> None:
        """Raises NotHeldError for any but 503s and broken connections."""
        if wrong := [what for what in self.refused if what not in {"503", "no answer"}]:
            raise NotHeldError(f"submits were answered {wrong}")

    def lost(self) -> list[Acknowledged]:
        """Those of which nothing is known any more."""
        known = {each.submitted.job: self._stand.store.exists(Keys(id=each.submitted.job, model=MODEL).record)
                 for each in self.acknowledged}  # fmt: skip
        return [each for each in self.acknowledged if not known[each.submitted.job]]

    def check_kept(self, references: References) -> None:
        """All that were not lost end as if nothing had been. Raises NotHeldError."""
        lost = {each.submitted.job for each in self.lost()}
        kept = [each.submitted for each in self.acknowledged if each.submitted.job not in lost]
        until(lambda: all(map(self._ended, kept)), "all acknowledged jobs end", seconds=END_SECONDS)
        for submitted in kept:
            check_succeeded(self._stand, submitted, references)

    def _ended(self, submitted: SubmittedJob) -> bool:
        return bool(self._stand.store.hget(Keys(id=submitted.job, model=MODEL).record, "finished_at"))

    def _submit(self, number: int) -> None:
        for count in range(number, 1_000_000, CALLERS):
            if self._over.wait(PAUSE_SECONDS):
                return
            started = time.monotonic()
            try:
                submitted = submit(self._stand, self._seeds[count % len(self._seeds)])
            except RefusedError as error:
                self._note(str(error.status), time.monotonic() - started)
            except httpx.TransportError:
                self._note("no answer", 0)
            else:
                self.acknowledged.append(Acknowledged(submitted=submitted, at=time.time()))

    def _note(self, what: str, seconds: float) -> None:
        with self._lock:
            self.refused[what] += 1
            self.slowest_refusal = max(self.slowest_refusal, seconds)


def refused_submit(stand: Stand) -> float:
    """Seconds until a submit is refused with 503. Raises NotHeldError for any other answer."""
    started = time.monotonic()
    try:
        submitted = submit(stand, 0)
    except RefusedError as error:
        if error.status != HTTPStatus.SERVICE_UNAVAILABLE or "urn:spn:" not in str(error):
            raise NotHeldError(f"a submit was answered {error}") from error
        return time.monotonic() - started
    raise NotHeldError(f"{submitted} was accepted")
