"""A job that harms its worker, among seven that do not."""

from __future__ import annotations

from collections import Counter

from service.contract.statuses import EventKind
from tests.chaos.deadlines import NotHeldError
from tests.chaos.rehearsal import Poison
from tests.chaos.stand import Stand
from tests.chaos.submitted import SEEDS, SubmittedJob, body, check_one_end, check_succeeded, events
from tests.chaos.trial import BATCH, Found, Trial
from tests.chaos.watch import Watch

END_SECONDS = 120


def poisoned(trial: Trial) -> Found:
    """Seven ordinary jobs and one that kills the worker, raises, or has logits that are no numbers."""
    poison = list(Poison)[trial.number % len(Poison)]
    seeds = [*trial.rng.sample(SEEDS, BATCH - 1), poison.at(trial.rng.choice((0, 3)))]
    trial.rng.shuffle(seeds)
    with trial.stand.restarting(*trial.stand.workers), Watch(trial.stand, trial.references, seeds) as watch:
        watch.wait(seconds=END_SECONDS)
        watch.check()
        for submitted in watch.submitted:
            if submitted.seed in SEEDS:
                check_succeeded(trial.stand, submitted, trial.references)
            else:
                check_failed(trial.stand, submitted)
    return Found(counts=Counter({f"poison {poison.name.lower()}": 1}))


def check_failed(stand: Stand, submitted: SubmittedJob) -> None:
    """It failed once, with its reason. Raises NotHeldError."""
    check_one_end(submitted, events(stand, submitted.job), EventKind.FAILED)
    error = body(stand, submitted)["error"]
    if not error or not error["type"].startswith("urn:spn:") or not error["detail"]:
        raise NotHeldError(f"{submitted} failed without a reason: {error}")
