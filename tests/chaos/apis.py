"""An API process that dies while it streams."""

from __future__ import annotations

from collections import Counter

from tests.chaos.deadlines import NotHeldError, until, within
from tests.chaos.trial import BATCH, RESUME_SECONDS, Found, Trial


def killed_api(trial: Trial) -> Found:
    """`kill -9` at a random moment, a stream open on each of eight jobs; started again, the streams are resumed."""
    stand = trial.stand
    with trial.watch(streams=BATCH) as watch:
        stand.busiest(watch.jobs)
        trial.pause(0, 1)
        at = stand.api.kill()
        open_streams = [stream for stream in watch.streams if stream.is_alive()]
        stand.start_api()
        until(
            lambda: all(stream.received_at > at or not stream.is_alive() for stream in open_streams),
            "all streams are resumed",
            seconds=RESUME_SECONDS,
        )
        resumed_at = max((stream.received_at for stream in open_streams), default=at)
        watch.ended(since=at)
        if any(stream.cuts == 0 for stream in open_streams):
            raise NotHeldError("a stream was not cut")
        return Found(
            recovery_seconds=within(resumed_at - at, RESUME_SECONDS, "resuming"),
            counts=Counter({"streams cut and resumed": len(open_streams)}),
        )
