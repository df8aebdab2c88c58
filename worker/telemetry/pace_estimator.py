"""The pace of this worker, for the API's estimates: the costs of rounds and jobs, learned from each and written to Redis."""

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
"""The spread of one round around the cost of such rounds, as a share: passes differ, and the machine has other work."""

DRIFT = 0.03
"""The change of all costs together from round to round, as a share. With NOISE about the last fifteen rounds count."""

BEND = 0.01
"""The change of the fixed cost and of the cost per turn apart from each other, as a share."""

LONGEST = 10
"""A round counts as at most this many times its expected cost: one that waited for Redis says nothing about the next."""

WEIGHT = 0.1
"""The weight of the newest move in the average of moves: about the last ten jobs count."""

STALLED = 10
"""A round is stalled once it has lasted this many times its expected time."""

WRITE_SECONDS = 1
"""The least time between two writes. The first round of a network is written at once: without it there is no estimate."""


class RoundFit:
    """The cost of a round of one network: a fixed cost plus a cost per turn, by a Kalman filter.

    Rounds of one number of turns do not give the slope. Then both costs follow the rounds together, in their last proportion.
    """

    def __init__(self, turns: int, seconds: float) -> None:
        """Start from one round: half of it is fixed, half is for the turns, and any other split is as likely."""
        self._cost = np.array([seconds / 2, seconds / 2 / turns])
        share = np.array([1, -1 / turns]) * seconds / np.sqrt(12)
        self._covariance = np.outer(share, share) + np.outer(self._cost, self._cost) * NOISE**2

    def learn(self, turns: int, seconds: float) -> None:
        """Learn from one more round."""
        factors = np.array([1, turns])
        expected = float(factors @ self._cost)
        bend = BEND * expected / factors
        spread = self._covariance + np.outer(self._cost, self._cost) * DRIFT**2 + np.diag(bend**2)
        surprise, known = min(seconds, LONGEST * expected) - expected, float(factors @ spread @ factors)
        # The noise is a share of the cost after this round: the first full round may be far from all earlier ones.
        learned = expected + surprise * known / (known + (NOISE * expected) ** 2)
        gain = spread @ factors / (known + (NOISE * learned) ** 2)
        self._cost = np.maximum(self._cost + gain * surprise, 0)
        self._covariance = spread - np.outer(gain, factors @ spread)

    @property
    def pace(self) -> StagePace:
        """The cost as the API reads it."""
        fixed, turn = self._cost.tolist()
        return StagePace(fixed_seconds=fixed, turn_seconds=turn)


class PaceEstimator:
    """Learns the costs and writes them. Workers of one model share a hash; the last write counts.

    It never raises: no image fails for an estimate.
    """

    def __init__(self, client: Redis, *, model: str, capacity: int, threads: int = 1) -> None:
        self._client, self._key = client, pace_key(model)
        self._capacity, self._threads = capacity, threads
        self._fits: dict[Stage, RoundFit] = {}
        self._move_seconds: float | None = None
        self._written = -float("inf")

    def round(self, stage: Stage, *, lanes: int, seconds: float) -> None:
        """Learn from a round of `lanes` lanes; `seconds` is the time from its start to the start of the next."""
        turns = self._turns(lanes)
        if fit := self._fits.get(stage):
            fit.learn(turns, seconds)
        else:
            self._fits[stage] = RoundFit(turns, seconds)
        if not fit or time.monotonic() - self._written >= WRITE_SECONDS:
            self.write()

    def limit_seconds(self, stage: Stage, *, lanes: int) -> float | None:
        """Return the time after which a round is stalled; None before the first round of its network."""
        fit = self._fits.get(stage)
        return STALLED * fit.pace.round_seconds(self._turns(lanes)) if fit else None

    def moved(self, moves: int, *, seconds: float) -> None:
        """Learn that `moves` jobs joined or left in `seconds`; it is written with the next round."""
        each = seconds / moves
        before = each if self._move_seconds is None else self._move_seconds
        each = min(each, LONGEST * before)
        self._move_seconds = each + (before - each) * (1 - WEIGHT) ** moves

    def write(self) -> None:
        """Write the costs for the API."""
        self._written = time.monotonic()
        try:
            self._write(self._pace())
        except RedisError as error:
            logger.warning("pace not written to Redis: %s", error)

    def _turns(self, lanes: int) -> int:
        return -(-lanes // self._threads)

    def _pace(self) -> Pace:
        stages = {stage: fit.pace for stage, fit in self._fits.items()}
        job_seconds = 2 * (self._move_seconds or 0)
        return Pace(capacity=self._capacity, threads=self._threads, stages=stages, job_seconds=job_seconds)

    def _write(self, pace: Pace) -> None:
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.hset(self._key, mapping=pace.encode())  # type: ignore[arg-type] # a dict is invariant
            pipeline.expire(self._key, PACE_SECONDS)
            pipeline.execute()
