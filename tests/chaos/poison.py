"""A job that harms whoever draws it, among seven that do not."""

from __future__ import annotations

from collections import Counter

from service.contract.statuses import EventKind
from tests.chaos.deadlines import NotHeldError
from tests.chaos.orders import SEEDS, Order, body, check_drawn, check_one_end, events
from tests.chaos.rehearsal import Poison
from tests.chaos.stand import Stand
from tests.chaos.trial import BATCH, Found, Trial
from tests.chaos.watch import Watch

END_SECONDS = 120


def poisoned(trial: Trial) -> Found:
    """Seven ordinary jobs and one that kills the worker, raises, or has logits that are no numbers."""
    poison = list(Poison)[trial.number % len(Poison)]
    seeds = [*trial.dice.sample(SEEDS, BATCH - 1), poison.at(trial.dice.choice((0, 3)))]
    trial.dice.shuffle(seeds)
    with trial.stand.nursed(*trial.stand.workers), Watch(trial.stand, trial.references, seeds) as watch:
        watch.wait(seconds=END_SECONDS)
        watch.check()
        for placed in watch.orders:
            if placed.seed in SEEDS:
                check_drawn(trial.stand, placed, trial.references)
            else:
                check_failed(trial.stand, placed)
    return Found(counts=Counter({f"poison {poison.name.lower()}": 1}))


def check_failed(stand: Stand, placed: Order) -> None:
    """It failed once, with its reason. Raises NotHeldError."""
    check_one_end(placed, events(stand, placed.job), EventKind.FAILED)
    error = body(stand, placed)["error"]
    if not error or not error["type"].startswith("urn:spn:") or not error["detail"]:
        raise NotHeldError(f"{placed} failed without a reason: {error}")
