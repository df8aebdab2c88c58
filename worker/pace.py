"""How fast this worker draws, for the API's estimates: moving averages of its rounds, put into Redis."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from service.contract import PACE_SECONDS, Pace, StagePace, pace_key

if TYPE_CHECKING:
    from redis import Redis

    from models.config import Stage
    from worker.rounds import Round

logger = logging.getLogger(__name__)

WEIGHT = 0.2
"""Of the newest round in the average: about the last ten count."""

WRITE_SECONDS = 1
"""At least so long between two writes, but for the first round of a network: without it there is no estimate at all."""


class PaceKeeper:
    """Averages rounds and writes them. Workers of one model share a hash: the last to write is believed."""

    def __init__(self, client: Redis, *, model: str) -> None:
        self._client, self._key = client, pace_key(model)
        self._stages: dict[Stage, StagePace] = {}
        self._written = -float("inf")

    def __call__(self, measured: Round) -> None:
        """One round more. It never raises: an estimate is not worth a picture."""
        before = self._stages.get(measured.stage)
        self._stages[measured.stage] = averaged(before, measured)
        if before and time.monotonic() - self._written < WRITE_SECONDS:
            return
        self._written = time.monotonic()
        try:
            self._write(Pace(capacity=measured.capacity, stages=self._stages))
        except RedisError as error:
            logger.warning("pace not written: %s", error)

    def _write(self, pace: Pace) -> None:
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.hset(self._key, mapping=pace.encode())  # type: ignore[arg-type] # a dict is invariant
            pipeline.expire(self._key, PACE_SECONDS)
            pipeline.execute()


def averaged(before: StagePace | None, measured: Round) -> StagePace:
    """The average with one round more; the first one is taken as it is."""
    per_row = measured.seconds / measured.rows
    if before is None:
        return StagePace(round_seconds=measured.seconds, row_seconds=per_row)
    return StagePace(
        round_seconds=before.round_seconds + WEIGHT * (measured.seconds - before.round_seconds),
        row_seconds=before.row_seconds + WEIGHT * (per_row - before.row_seconds),
    )
