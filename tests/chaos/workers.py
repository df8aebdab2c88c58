"""Workers that die at the worst moments, and one that comes back from the dead."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Sequence

from tests.chaos.deadlines import NotHeldError, until
from tests.chaos.journal import Line
from tests.chaos.rehearsal import Cue
from tests.chaos.stand import Stand
from tests.chaos.trial import Found, Trial, resumed
from tests.harness.launcher import WorkerProcess

TAKEOVER_SECONDS = 30
STRIKE_SECONDS = 30
REFUSALS = frozenset({"lost", "ended", "unknown"})


def killed(trial: Trial) -> Found:
    """`kill -9` at a random moment of eight jobs, another worker alive."""
    with trial.watch() as watch:
        victim = trial.stand.busiest(watch.jobs)
        trial.pause(0, 1.5)
        at = victim.kill()
        victim.launch()
        return resumed(watch, at)


def struck(trial: Trial, cues: Sequence[Cue]) -> Found:
    """Death at one of `cues`, in turn."""
    cue = cues[trial.number % len(cues)]
    trial.stand.cue(cue)
    with trial.watch() as watch:
        victim = trial.stand.struck(cue)
        at = time.time()
        until(lambda: not victim.alive, "a worker dies", seconds=STRIKE_SECONDS)
        victim.launch()
        return resumed(watch, at)


def zombie(trial: Trial) -> Found:
    """SIGSTOP past the lease, the jobs are taken over, then SIGCONT: at once, or when all is over."""
    stand = trial.stand
    with trial.watch() as watch:
        victim = stand.busiest(watch.jobs)
        trial.pause(0, 0.8)
        victim.send(signal.SIGSTOP)
        at = time.time()
        try:
            held = stand.held(watch.jobs)[victim.pid]
            await_takeover(stand, victim, held)
            if trial.number % 2:
                watch.wait()
        finally:
            woken = time.time()
            victim.send(signal.SIGCONT)
        recovery_seconds = resumed(watch, at).recovery_seconds
        refused = refusals(stand, victim, stopped=at, woken=woken) if held else 0
        return Found(recovery_seconds=recovery_seconds, counts=Counter({"writes refused": refused}))


def await_takeover(stand: Stand, victim: WorkerProcess, held: list[str]) -> None:
    """Until a worker other than `victim` has acquired each of its jobs."""

    def taken() -> bool:
        others = {line.job for line in stand.journal() if line.transition == "acquire" and line.outcome == "done"
                  and line.pid != victim.pid}  # fmt: skip
        return others.issuperset(held)

    until(taken, "a stopped worker's jobs are taken over", seconds=TAKEOVER_SECONDS)


def refusals(stand: Stand, victim: WorkerProcess, *, stopped: float, woken: float) -> int:
    """How many writes of a zombie were refused, one at least. Raises NotHeldError, also if one was accepted."""
    tokens = {line.token for line in stand.journal() if line.pid == victim.pid and line.at < stopped}

    def written() -> list[Line]:
        return [line for line in stand.journal(since=woken) if line.token in tokens]

    until(lambda: bool(written()), "the zombie writes", seconds=STRIKE_SECONDS)
    if accepted := [line for line in written() if line.outcome not in REFUSALS]:
        raise NotHeldError(f"the zombie's writes were accepted: {accepted}")
    return len(written())
