"""Observations of callers: polls that must never go back, event streams that must miss nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from threading import Event, Thread
from typing import Any, Self

import httpx
from httpx_sse import EventSource

from service.contract.statuses import EventKind
from tests.chaos.deadlines import TIME_FACTOR, NotHeldError, until
from tests.chaos.stand import Stand
from tests.chaos.submitted import References, RefusedError, SubmittedJob, check_succeeded, events, recovery, submit

POLL_SECONDS = 0.1
AGAIN_SECONDS = 0.2
END_SECONDS = 90
PAGE = 100
RANKS = {"queued": 0, "running": 1, "succeeded": 2, "failed": 2, "canceled": 2}
FINAL = 2
FINE = frozenset({HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE})
"""Accepted statuses of a poll, whatever fails."""


class Polls(Thread):
    """Polls the newest jobs again and again; `faults` lists what may not be, `refused` counts 503s."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url, self._over = url, Event()
        self._seen: dict[str, tuple[int, int, str]] = {}
        self.faults: list[str] = []
        self.refused: Counter[str] = Counter()

    def run(self) -> None:
        """Until stopped."""
        with httpx.Client(base_url=self._url, timeout=90) as http:
            while not self._over.wait(POLL_SECONDS):
                try:
                    self._look(http.get("/jobs", params={"limit": PAGE}))
                except httpx.TransportError:
                    self.refused["no answer"] += 1

    def stop(self) -> None:
        """Poll no more."""
        self._over.set()
        self.join()

    def ended(self, job: str) -> bool:
        """Whether it was seen in a final status."""
        return self._seen.get(job, (0, 0, ""))[0] == FINAL

    def forget(self) -> None:
        """What was seen until now may be taken back."""
        self._seen.clear()

    def _look(self, answer: httpx.Response) -> None:
        if answer.status_code not in FINE:
            self.faults.append(f"a poll was answered {answer.status_code} {answer.text[:200]}")
        elif answer.status_code != HTTPStatus.OK:
            self.refused[str(answer.status_code)] += 1
        else:
            for each in answer.json()["jobs"]:
                self._compare(each)

    def _compare(self, seen: dict[str, Any]) -> None:
        job, now = seen["id"], (RANKS[seen["status"]], seen["progress"]["slices_done"], seen["status"])
        before = self._seen.get(job, now)
        if now[0] < before[0] or now[1] < before[1] or (before[0] == FINAL and now != before):
            self.faults.append(f"job {job} went from {before} back to {now}")
        self._seen[job] = now


class Stream(Thread):
    """Follows a job's events to their end, resuming after every cut; `ids` are those that it received."""

    def __init__(self, url: str, job: str) -> None:
        super().__init__(daemon=True)
        self._url, self._job = f"{url}/jobs/{job}/events", job
        self._over = False
        self.ids: list[str] = []
        self.cuts = 0
        self.received_at = 0.0

    def run(self) -> None:
        """Until the last event."""
        with httpx.Client(timeout=httpx.Timeout(90)) as http:
            while not self._over:
                try:
                    self._listen(http)
                except httpx.TransportError:
                    self.cuts += 1
                time.sleep(0 if self._over else AGAIN_SECONDS)

    def give_up(self) -> None:
        """Listen no more after the next event or cut."""
        self._over = True

    def check(self, wanted: Sequence[str]) -> None:
        """Raises NotHeldError unless it received exactly `wanted`."""
        self.join(timeout=END_SECONDS * TIME_FACTOR)
        if self.ids != list(wanted):
            raise NotHeldError(
                f"the events of {self._job}: {len(self.ids)} were received, {len(wanted)} are in its stream"
            )

    def _listen(self, http: httpx.Client) -> None:
        headers = {"Last-Event-ID": self.ids[-1]} if self.ids else {}
        with http.stream("GET", self._url, headers=headers) as answer:
            if answer.status_code != HTTPStatus.OK:
                return
            for event in EventSource(answer).iter_sse():
                if not event.data:  # httpx-sse's reading of a keep-alive comment
                    continue
                self.ids.append(event.id)
                self.received_at = time.time()
                if self._over or EventKind(event.event).final:
                    self._over = True
                    return


class Watch:
    """Places one job per seed and watches all of them: by polls, and the first `streams` by their events too."""

    def __init__(self, stand: Stand, references: References, seeds: Sequence[int], *, streams: int = 1) -> None:
        self._stand, self._references, self._seeds, self._count = stand, references, seeds, streams
        self.polls = Polls(stand.url)
        self.submitted: list[SubmittedJob] = []
        self.streams: list[Stream] = []

    @property
    def jobs(self) -> list[str]:
        """The ids."""
        return [submitted.job for submitted in self.submitted]

    def __enter__(self) -> Self:
        try:
            self.submitted = [submit(self._stand, seed) for seed in self._seeds]
        except RefusedError as error:
            raise NotHeldError(f"a submit was refused: {error}") from error
        self.streams = [Stream(self._stand.url, job) for job in self.jobs[: self._count]]
        for thread in (self.polls, *self.streams):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.polls.stop()
        for stream in self.streams:
            stream.give_up()

    def wait(self, *, seconds: float = END_SECONDS) -> None:
        """Until polls have seen all jobs end. Raises NotHeldError."""
        until(lambda: all(map(self.polls.ended, self.jobs)), "all jobs end", seconds=seconds)

    def ended(self, *, since: float) -> float:
        """Wait for the end and check all jobs. Return the seconds from `since` until all of them went on.

        Raises NotHeldError.
        """
        self.wait()
        self.check()
        for submitted in self.submitted:
            check_succeeded(self._stand, submitted, self._references)
        return recovery(self._stand, self.submitted, since)

    def check(self) -> None:
        """What callers saw so far. Raises NotHeldError."""
        if self.polls.faults:
            raise NotHeldError("; ".join(self.polls.faults[:3]))
        for stream, job in zip(self.streams, self.jobs, strict=False):
            stream.check([event.id for event in events(self._stand, job)])
