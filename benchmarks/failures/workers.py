"""Workers that die at the worst moments, and one that comes back from the dead."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Sequence

from benchmarks.failures.process import Process
from benchmarks.failures.rehearsal import Cue
from benchmarks.failures.stand import Stand, until
from benchmarks.failures.trial import Found, Trial, resumed

TAKEOVER_SECONDS = 30
STRIKE_SECONDS = 30
REFUSALS = frozenset({"lost", "ended", "unknown"})
WRITES = frozenset({"renew", "append", "restart", "release", "finish", "fail", "cancel"})


def killed(trial: Trial) -> Found:
    """`kill -9` at a random moment of eight jobs, another worker alive."""
    with trial.watch() as watch:
        victim = trial.stand.busiest(watch.jobs)
        trial.pause(0, 1.5)
        at = victim.kill()
        victim.start()
        return resumed(watch, at)


def struck(trial: Trial, cues: Sequence[Cue]) -> Found:
    """Death at one of `cues`, in turn."""
    cue = cues[trial.number % len(cues)]
    armed = trial.stand.cue(cue)
    with trial.watch() as watch:
        gone = until(lambda: not armed.exists(), f"a worker gets to {cue}", seconds=STRIKE_SECONDS)
        return resumed(watch, buried(trial.stand, gone))


def buried(stand: Stand, gone: float) -> float:
    """Start the worker again that a cue has killed; when it was killed."""
    until(lambda: not all(worker.alive for worker in stand.workers), "a worker dies", seconds=STRIKE_SECONDS)
    for worker in stand.workers:
        worker.start()
    return gone


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
            victim.send(signal.SIGCONT)
        woken = time.time()
        refused = refusals(stand, victim, since=woken) if held else 0
        recovery_seconds = resumed(watch, at).recovery_seconds
        return Found(recovery_seconds=recovery_seconds, counts=Counter({"writes refused": refused}))


def await_takeover(stand: Stand, victim: Process, held: list[str]) -> None:
    """Until a worker other than `victim` has acquired each of its jobs."""

    def taken() -> bool:
        others = {line.job for line in stand.journal() if line.transition == "acquire" and line.outcome == "done"
                  and line.pid != victim.pid}  # fmt: skip
        return others.issuperset(held)

    until(taken, "a stopped worker's jobs are taken over", seconds=TAKEOVER_SECONDS)


def refusals(stand: Stand, victim: Process, *, since: float) -> int:
    """How many of its writes were refused, one at least; none may have been accepted. Raises NotHeldError."""

    def lines(*, refused: bool) -> int:
        own = (line for line in stand.journal(since=since) if line.pid == victim.pid and line.transition in WRITES)
        return sum((line.outcome in REFUSALS) is refused for line in own)

    until(lambda: lines(refused=True) > 0, "the zombie's writes are refused", seconds=STRIKE_SECONDS)
    return lines(refused=True)
