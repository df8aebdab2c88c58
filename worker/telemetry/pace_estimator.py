"""The pace of this worker, for the API's estimates: the costs of rounds and jobs, learned from each and written to Redis."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from service.contract.pace import PACE_SECONDS, Pace, StagePace
from service.contract.redis_keys import pace_key

if TYPE_CHECKING:
    from redis import Redis

    from models.config import Stage

logger = logging.getLogger(__name__)

NEWEST = 0.15
"""The weight of the newest round in the averages: about the last ten rounds count."""

STIFFNESS = 0.02
"""The weight of the last known split of the costs, beside a spread of turns as large as their mean."""

LONGEST = 10
"""A round counts as at most this many times its expected cost: one that waited for Redis says nothing about the next."""

WEIGHT = 0.1
"""The weight of the newest move in the average of moves: about the last ten jobs count."""

STALLED = 10
"""A round is stalled once it has lasted this many times its expected time."""

WRITE_SECONDS = 1
"""The least time between two writes. The first round of a network is written at once: without it there is no estimate."""


class RoundFit:
    """The cost of a round of one network: a fixed cost plus a cost per turn, a line through moving averages.

    Rounds of one number of turns do not give the slope. Then both costs follow the rounds together, in their last proportion.
    """

    def __init__(self, turns: int, seconds: float) -> None:
        """Start from one round: half of it is fixed, half is for the turns."""
        self._rounds, self._per_turn = 1, seconds / 2 / turns
        self._turns, self._seconds = float(turns), seconds
        self._squares, self._products = float(turns**2), turns * seconds

    def learn(self, turns: int, seconds: float) -> None:
        """Learn from one more round."""
        share = self._per_turn * self._turns / self._seconds
        expected = self._seconds + self._per_turn * (turns - self._turns)
        seconds = min(seconds, LONGEST * expected)
        self._rounds += 1
        weight = max(NEWEST, 1 / self._rounds)
        self._turns += weight * (turns - self._turns)
        self._seconds += weight * (seconds - self._seconds)
        self._squares += weight * (turns**2 - self._squares)
        self._products += weight * (turns * seconds - self._products)
        self._per_turn = self._slope(share)

    def _slope(self, share: float) -> float:
        """Return the cost per turn: from rounds of different turns, and from its last `share` of the costs."""
        most, stiffness = self._seconds / self._turns, STIFFNESS * self._turns**2
        spread = self._squares - self._turns**2
        together = self._products - self._turns * self._seconds
        return min(max((together + stiffness * share * most) / (spread + stiffness), 0), most)

    @property
    def pace(self) -> StagePace:
        """The cost as the API reads it."""
        fixed = max(self._seconds - self._per_turn * self._turns, 0)
        return StagePace(fixed_seconds=fixed, turn_seconds=self._per_turn)


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
