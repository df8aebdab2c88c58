"""Workers that get SIGTERM, once or twice."""

from __future__ import annotations

import signal
import time

from tests.chaos.deadlines import TIME_FACTOR, NotHeldError
from tests.chaos.rehearsal import Cue
from tests.chaos.submitted import body
from tests.chaos.trial import Found, Trial, resumed
from tests.harness.launcher import WorkerProcess

DRAIN_SECONDS = 20
"""From SIGTERM to exit 0."""

AT_ONCE_SECONDS = 2
"""From the second one; the slice in hand takes five."""


def terminated(trial: Trial) -> Found:
    """SIGTERM during load: once, then a drain; every other time twice, in the middle of a slice of five seconds."""
    return stopped_twice(trial) if trial.number % 2 else stopped_once(trial)


def stopped_once(trial: Trial) -> Found:
    """Exit 0 after the slice, jobs handed back, no attempt spent."""
    with trial.watch() as watch:
        victim = trial.stand.busiest(watch.jobs)
        trial.pause(0, 0.8)
        at = time.time()
        victim.send(signal.SIGTERM)
        check_exit(victim, within_seconds=DRAIN_SECONDS)
        drained = time.time() - at
        victim.launch()
        recovery_seconds = resumed(watch, at).recovery_seconds
        if spent := [submitted for submitted in watch.submitted if body(trial.stand, submitted)["attempts"] != 1]:
            raise NotHeldError(f"an attempt was spent on {spent}")
        return Found(recovery_seconds=recovery_seconds, worst={"drained": drained})


def stopped_twice(trial: Trial) -> Found:
    """Exit at once, in the middle of a slice."""
    trial.stand.cue(Cue.SLOW)
    with trial.watch() as watch:
        victim = trial.stand.struck(Cue.SLOW)
        victim.send(signal.SIGTERM)
        trial.pause(0.2, 0.6)
        at = time.time()
        victim.send(signal.SIGTERM)
        check_exit(victim, within_seconds=AT_ONCE_SECONDS)
        exited = time.time() - at
        victim.launch()
        recovery_seconds = resumed(watch, at).recovery_seconds
        return Found(recovery_seconds=recovery_seconds, worst={"second SIGTERM to exit": exited})


def check_exit(worker: WorkerProcess, *, within_seconds: float) -> None:
    """Raises NotHeldError for another exit status than 0, or none in time."""
    if (code := worker.exit_code(within_seconds=within_seconds * TIME_FACTOR)) != 0:
        raise NotHeldError(f"exit status {code} within {within_seconds} s of SIGTERM")
