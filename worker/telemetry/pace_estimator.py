"""How fast this worker gets on, for the API's estimates: what rounds and jobs cost, learned from each, put into Redis."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import numpy as np
from redis.exceptions import RedisError

from service.contract.pace import PACE_SECONDS, Pace, StagePace
from service.contract.redis_keys import pace_key

if TYPE_CHECKING:
    from redis import Redis

    from models.config import Stage

logger = logging.getLogger(__name__)

NOISE = 0.2
"""How far one round is from what such rounds cost, as a share: passes differ, and the machine has other things to do."""

DRIFT = 0.03
"""How much all costs may change together from round to round, as a share. With NOISE about the last fifteen rounds count."""

BEND = 0.01
"""How much the fixed cost and that of the turns may change apart from each other."""

LONGEST = 10
"""A round counts as at most so many times what was expected: one during which Redis was away says nothing of the next."""

WEIGHT = 0.1
"""Of the newest move in the average of moves: about the last ten jobs count."""

WRITE_SECONDS = 1
"""At least so long between two writes, but for the first round of a network: without it there is no estimate at all."""


class RoundFit:
    """What a round of one network costs: a line over its turns, by recursive least squares that forget (a Kalman filter).

    One number of turns does not tell the slope. Then all costs follow the rounds together, in the proportion last known.
    """

    def __init__(self, turns: int, seconds: float) -> None:
        """From a first round: half of it fixed, half for the turns, and anything between all and nothing as likely."""
        self._cost = np.array([seconds / 2, seconds / 2 / turns])
        share = np.array([1, -1 / turns]) * seconds / np.sqrt(12)
        self._covariance = np.outer(share, share) + np.outer(self._cost, self._cost) * NOISE**2

    def learn(self, turns: int, seconds: float) -> None:
        """One round more."""
        factors = np.array([1, turns])
        expected = float(factors @ self._cost)
        bend = BEND * expected / factors
        spread = self._covariance + np.outer(self._cost, self._cost) * DRIFT**2 + np.diag(bend**2)
        surprise, known = min(seconds, LONGEST * expected) - expected, float(factors @ spread @ factors)
        # The noise is a share of what is expected, at last: the first full round may be far from all that was.
        learned = expected + surprise * known / (known + (NOISE * expected) ** 2)
        gain = spread @ factors / (known + (NOISE * learned) ** 2)
        self._cost = np.maximum(self._cost + gain * surprise, 0)
        self._covariance = spread - np.outer(gain, factors @ spread)

    @property
    def pace(self) -> StagePace:
        """As the API reads it."""
        fixed, turn = self._cost.tolist()
        return StagePace(fixed_seconds=fixed, turn_seconds=turn)


class PaceKeeper:
    """Learns and writes. Workers of one model share a hash: the last to write is believed.

    It never raises: an estimate is not worth a picture.
    """

    def __init__(self, client: Redis, *, model: str, capacity: int, threads: int = 1) -> None:
        self._client, self._key = client, pace_key(model)
        self._capacity, self._threads = capacity, threads
        self._fits: dict[Stage, RoundFit] = {}
        self._move_seconds: float | None = None
        self._written = -float("inf")

    def round(self, stage: Stage, *, lanes: int, seconds: float) -> None:
        """One round of so many lanes more, from its beginning to that of the next."""
        turns = -(-lanes // self._threads)
        if fit := self._fits.get(stage):
            fit.learn(turns, seconds)
        else:
            self._fits[stage] = RoundFit(turns, seconds)
        if not fit or time.monotonic() - self._written >= WRITE_SECONDS:
            self.write()

    def moved(self, moves: int, *, seconds: float) -> None:
        """It took so long to take jobs and to see others off, `moves` in all; told with the next round."""
        each = seconds / moves
        before = each if self._move_seconds is None else self._move_seconds
        each = min(each, LONGEST * before)
        self._move_seconds = each + (before - each) * (1 - WEIGHT) ** moves

    def write(self) -> None:
        """Tell the API what is known."""
        self._written = time.monotonic()
        try:
            self._write(self._pace())
        except RedisError as error:
            logger.warning("pace not written: %s", error)

    def _pace(self) -> Pace:
        stages = {stage: fit.pace for stage, fit in self._fits.items()}
        job_seconds = 2 * (self._move_seconds or 0)
        return Pace(capacity=self._capacity, threads=self._threads, stages=stages, job_seconds=job_seconds)

    def _write(self, pace: Pace) -> None:
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.hset(self._key, mapping=pace.encode())  # type: ignore[arg-type] # a dict is invariant
            pipeline.expire(self._key, PACE_SECONDS)
            pipeline.execute()
