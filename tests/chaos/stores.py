"""Redis that dies, stays away, or has no memory left."""

from __future__ import annotations

import signal
import time
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from threading import Event, Thread
from typing import Self

from tests.chaos.deadlines import TIME_FACTOR, NotHeldError, within
from tests.chaos.load import Load, refused_submit
from tests.chaos.stand import Stand
from tests.chaos.submitted import SEEDS
from tests.chaos.trial import RESUME_SECONDS, Found, Trial, resumed

AWAY_SECONDS = 60
PROBE_SECONDS = 3
ANSWER_SECONDS = 15
"""A 503 must be there by then."""

LOSS_SECONDS = 2
SYNC_SECONDS = 1.0
"""`everysec`: what is older is on the disk."""

LOOK_SECONDS = 0.02
FULL_SECONDS = 4
ASK_SECONDS = 0.2


def died_always(trial: Trial) -> Found:
    """`kill -9` under load with `appendfsync always`: nothing may be lost."""
    found = died(trial, power_cut=False)
    if found.counts["lost"]:
        raise NotHeldError(f"{found.counts['lost']} acknowledged jobs lost")
    return found


def died_everysec(trial: Trial) -> Found:
    """With `everysec`; every other time as in a power cut, which also takes what was not synced for a second."""
    return died(trial, power_cut=trial.number % 2 == 1)


def died(trial: Trial, *, power_cut: bool) -> Found:
    """Redis is killed under load, and started again; the load goes on. Counts what was acknowledged, and lost of it."""
    stand = trial.stand
    with stand.restarting(*stand.workers), Load(stand, SEEDS) as load, Tail(stand.folder / "data") as tail:
        trial.pause(1.3, 2.5)
        at = stand.server.kill()
        if power_cut:
            tail.cut(at - SYNC_SECONDS)
        trial.pause(0, 1)
        back = stand.start_store()
        recovery_seconds = went_on(stand, back)
        trial.pause(0.5, 1)
    load.check_refusals()
    lost = load.lost()
    if old := [each for each in lost if each.at < at - LOSS_SECONDS]:
        raise NotHeldError(f"lost although older than {LOSS_SECONDS} s: {old}")
    load.check_kept(trial.references)
    return Found(
        recovery_seconds=recovery_seconds,
        counts=Counter({"acknowledged": len(load.acknowledged), "lost": len(lost)}),
        worst={"refused": load.slowest_refusal},
    )


def went_on(stand: Stand, back: float) -> float:
    """Seconds from `back` until a worker has written a slice."""

    def published() -> bool:
        return any(line.transition == "append" and line.outcome == "done" for line in stand.journal(since=back))

    deadline = time.monotonic() + RESUME_SECONDS * TIME_FACTOR
    while not published():
        if time.monotonic() > deadline:
            raise NotHeldError(f"no slice within {RESUME_SECONDS} s of Redis being back")
        time.sleep(LOOK_SECONDS)
    return time.time() - back


class Tail:
    """Notes how the append-only file grows while it is open, to cut off what a power cut would take."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._over = folder, Event()
        self._sizes: list[tuple[float, int]] = []
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def cut(self, at: float) -> None:
        """Leave what was there at that time."""
        with self._file.open("r+b") as file:
            file.truncate(max(size for when, size in self._sizes if when <= at))

    @property
    def _file(self) -> Path:
        """Since Redis 7 it is in `appendonlydir`."""
        return next((self._folder / "appendonlydir").glob("*.incr.aof"), self._folder / "appendonly.aof")

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._sizes.append((time.time(), self._file.stat().st_size))


def away(trial: Trial) -> Found:
    """Gone for a minute: 503 meanwhile, the processes stay, and all goes on when it is back."""
    stand = trial.stand
    with trial.watch() as watch:
        trial.pause(0.2, 1)
        stand.server.kill()
        slowest = probed(stand, AWAY_SECONDS)
        back = stand.start_store()
        return Found(recovery_seconds=resumed(watch, back).recovery_seconds, worst={"503 after": slowest})


def hung(trial: Trial) -> Found:
    """As `away`, but it keeps its connections and says nothing."""
    stand = trial.stand
    with trial.watch() as watch:
        trial.pause(0.2, 1)
        stand.server.send(signal.SIGSTOP)
        try:
            slowest = probed(stand, AWAY_SECONDS)
        finally:
            stand.server.send(signal.SIGCONT)
        return Found(recovery_seconds=resumed(watch, time.time()).recovery_seconds, worst={"503 after": slowest})


def probed(stand: Stand, seconds: float) -> float:
    """Ask for so long; the seconds that the slowest 503 took. Raises NotHeldError for any other answer, or a death."""
    deadline, slowest = time.monotonic() + seconds, 0.0
    while time.monotonic() < deadline:
        slowest = max(slowest, within(refused_submit(stand), ANSWER_SECONDS, "503"))
        if (status := stand.http.get("/readyz").status_code) != HTTPStatus.SERVICE_UNAVAILABLE:
            raise NotHeldError(f"/readyz is {status} without Redis")
        stand.http.get("/healthz").raise_for_status()
        check_alive(stand)
        time.sleep(max(0, min(PROBE_SECONDS, deadline - time.monotonic())))
    return slowest


def check_alive(stand: Stand) -> None:
    """Raises NotHeldError if the API or a worker has ended."""
    if not all(process.alive for process in (stand.api, *stand.workers)):
        raise NotHeldError("a process ended because Redis is away")


def refused_for(stand: Stand, seconds: float) -> float:
    """Submits are refused for so long; the seconds that the slowest 503 took. Raises NotHeldError."""
    deadline, slowest = time.monotonic() + seconds, 0.0
    while time.monotonic() < deadline:
        slowest = max(slowest, within(refused_submit(stand), ANSWER_SECONDS, "503"))
        time.sleep(ASK_SECONDS)
    return slowest


def full_memory(trial: Trial) -> Found:
    """`maxmemory` reached in the middle of eight jobs."""
    stand, known = trial.stand, trial.stand.known()
    with trial.watch() as watch:
        trial.pause(0.3, 1)
        stand.store.config_set("maxmemory", "1")
        try:
            slowest = refused_for(stand, FULL_SECONDS)
        finally:
            stand.store.config_set("maxmemory", "0")
        recovery_seconds = resumed(watch, time.time()).recovery_seconds
        check_refused(stand, known + len(watch.submitted))
        return Found(recovery_seconds=recovery_seconds, worst={"503 after": slowest})


def check_refused(stand: Stand, wanted: int, *, unanswered: int = 0) -> int:
    """Return how many jobs exist beyond those that were accepted. Raises NotHeldError if a job is missing, or for more than
    `unanswered` jobs too many.

    A refused submit leaves nothing. But if Redis itself ends, a job may be on disk whose submit got no answer.
    """
    beyond = stand.known() - wanted
    if not 0 <= beyond <= unanswered:
        raise NotHeldError(f"{wanted + beyond} jobs are known, {wanted} were accepted")
    return beyond
