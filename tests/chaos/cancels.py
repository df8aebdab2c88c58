"""Jobs that are cancelled in every state."""

from __future__ import annotations

import signal
import time
from collections import Counter

from service.contract.statuses import EventKind
from tests.chaos.deadlines import NotHeldError, until, within
from tests.chaos.stand import Stand
from tests.chaos.submitted import SEEDS, SubmittedJob, body, check_one_end, events, pixels
from tests.chaos.trial import RESUME_SECONDS, Found, Trial
from tests.chaos.watch import Watch

START_SECONDS = 30
SETTLE_SECONDS = 1.5
"""Longer than the time after which a lost ticket is issued again."""


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
        await_slices(trial.stand, watch.submitted[0], trial.rng.randint(1, 4))
        trial.pause(0, 0.15)
        check_cancel(trial.stand, watch, status=202)
        return settled(trial.stand, watch, EventKind.CANCELED)


def cancel_last(trial: Trial) -> Found:
    """While its last slice is generated: cancelled or succeeded, but one of them."""
    with one(trial) as watch:
        submitted = watch.submitted[0]
        await_slices(
            trial.stand, submitted, body(trial.stand, submitted)["progress"]["slices_total"] - submitted.num_images
        )
        trial.pause(0, 0.2)
        trial.stand.http.delete(f"/jobs/{submitted.job}").raise_for_status()
        return settled(trial.stand, watch, EventKind.CANCELED, EventKind.SUCCEEDED)


def cancel_orphaned(trial: Trial) -> Found:
    """Its worker dies right after it was since to stop."""
    with one(trial) as watch:
        await_slices(trial.stand, watch.submitted[0], 2)
        victim = trial.stand.busiest(watch.jobs)
        check_cancel(trial.stand, watch, status=202)
        victim.kill()
        victim.launch()
        return settled(trial.stand, watch, EventKind.CANCELED)


def one(trial: Trial) -> Watch:
    """One ordinary job."""
    return Watch(trial.stand, trial.references, [trial.rng.choice(SEEDS)])


def await_slices(stand: Stand, submitted: SubmittedJob, count: int) -> None:
    """Wait until so many are published."""
    until(
        lambda: sum(event.slice is not None for event in events(stand, submitted.job)) >= count,
        f"{count} slices are published",
        seconds=START_SECONDS,
    )


def check_cancel(stand: Stand, watch: Watch, *, status: int) -> None:
    """Cancel the only job. Raises NotHeldError for another answer than `status`."""
    answer = stand.http.delete(f"/jobs/{watch.jobs[0]}")
    if answer.status_code != status:
        raise NotHeldError(f"cancel was answered {answer.status_code} {answer.json()['status']}, not {status}")


def settled(stand: Stand, watch: Watch, *ends: EventKind) -> Found:
    """Check for one final event, which stays the last, and images that can still be read."""
    since, submitted = time.time(), watch.submitted[0]
    watch.wait()
    seconds = within(time.time() - since, RESUME_SECONDS, "cancelling")
    entries = events(stand, submitted.job)
    check_one_end(submitted, entries, *ends)
    time.sleep(SETTLE_SECONDS)
    watch.check()
    if [event.id for event in events(stand, submitted.job)] != [event.id for event in entries]:
        raise NotHeldError(f"{submitted}: went on after its end")
    if any(event.slice for event in entries):
        pixels(stand, SubmittedJob(job=submitted.job, seed=0))
    return Found(recovery_seconds=seconds, counts=Counter({entries[-1].kind.value: 1}))
