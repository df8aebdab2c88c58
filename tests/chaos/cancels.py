"""Jobs that are cancelled, at every moment of their lives."""

from __future__ import annotations

import signal
import time
from collections import Counter

from service.contract.statuses import EventKind
from tests.chaos.deadlines import NotHeldError, until, within
from tests.chaos.orders import SEEDS, Order, body, check_one_end, events, pixels
from tests.chaos.stand import Stand
from tests.chaos.trial import RESUME_SECONDS, Found, Trial
from tests.chaos.watch import Watch

START_SECONDS = 30
SETTLE_SECONDS = 1.5
"""Longer than a lost ticket takes to be delivered again: whatever could wake the job has had its chance."""


def canceled(trial: Trial) -> Found:
    """Cancelled while queued, running, in the last slice, or held by a worker that has just died."""
    moments = (cancel_queued, cancel_running, cancel_last, cancel_orphaned)
    return moments[trial.number % len(moments)](trial)


def cancel_queued(trial: Trial) -> Found:
    """No worker has it; they go on when it is over, with its ticket in their queue."""
    stand = trial.stand
    for worker in stand.workers:
        worker.send(signal.SIGSTOP)
    try:
        with one(trial) as watch:
            check_cancel(stand, watch, status=200)
            for worker in stand.workers:
                worker.send(signal.SIGCONT)
            return settled(stand, watch, EventKind.CANCELED)
    finally:
        for worker in stand.workers:
            worker.send(signal.SIGCONT)


def cancel_running(trial: Trial) -> Found:
    """After its first slice."""
    with one(trial) as watch:
        await_slices(trial.stand, watch.orders[0], trial.dice.randint(1, 4))
        trial.pause(0, 0.15)
        check_cancel(trial.stand, watch, status=202)
        return settled(trial.stand, watch, EventKind.CANCELED)


def cancel_last(trial: Trial) -> Found:
    """While its last slice is drawn: cancelled or succeeded, but one of them."""
    with one(trial) as watch:
        placed = watch.orders[0]
        await_slices(trial.stand, placed, body(trial.stand, placed)["progress"]["slices_total"] - placed.pictures)
        trial.pause(0, 0.2)
        trial.stand.http.delete(f"/jobs/{placed.job}").raise_for_status()
        return settled(trial.stand, watch, EventKind.CANCELED, EventKind.SUCCEEDED)


def cancel_orphaned(trial: Trial) -> Found:
    """Its worker dies right after it was asked to stop."""
    with one(trial) as watch:
        await_slices(trial.stand, watch.orders[0], 2)
        victim = trial.stand.busiest(watch.jobs)
        check_cancel(trial.stand, watch, status=202)
        victim.kill()
        victim.launch()
        return settled(trial.stand, watch, EventKind.CANCELED)


def one(trial: Trial) -> Watch:
    """One ordinary job."""
    return Watch(trial.stand, trial.references, [trial.dice.choice(SEEDS)])


def await_slices(stand: Stand, placed: Order, count: int) -> None:
    """Until so many are drawn."""
    until(
        lambda: sum(event.slice is not None for event in events(stand, placed.job)) >= count,
        f"{count} slices are drawn",
        seconds=START_SECONDS,
    )


def check_cancel(stand: Stand, watch: Watch, *, status: int) -> None:
    """Cancel the only job. Raises NotHeldError for another answer than `status`."""
    answer = stand.http.delete(f"/jobs/{watch.jobs[0]}")
    if answer.status_code != status:
        raise NotHeldError(f"cancel was answered {answer.status_code} {answer.json()['status']}, not {status}")


def settled(stand: Stand, watch: Watch, *ends: EventKind) -> Found:
    """One end, which stays, and pictures that can still be read."""
    asked, placed = time.time(), watch.orders[0]
    watch.wait()
    seconds = within(time.time() - asked, RESUME_SECONDS, "cancelling")
    told = events(stand, placed.job)
    check_one_end(placed, told, *ends)
    time.sleep(SETTLE_SECONDS)
    watch.check()
    if [event.id for event in events(stand, placed.job)] != [event.id for event in told]:
        raise NotHeldError(f"{placed}: went on after its end")
    if any(event.slice for event in told):
        pixels(stand, Order(job=placed.job, seed=0))
    return Found(recovery_seconds=seconds, counts=Counter({told[-1].kind.value: 1}))
