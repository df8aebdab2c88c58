"""How the worker's main thread waits for Redis: it retries until Redis answers, with growing pauses."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

logger = logging.getLogger(__name__)

FIRST_SECONDS, LONGEST_SECONDS = 0.05, 1
"""The first and the longest pause between two tries; each pause is twice the one before."""

TEMPORARY = ("MISCONF", "-OOM", "-READONLY")
"""Parts of temporary errors for which redis-py has no class.

MISCONF: Redis cannot write its file, for instance because the disk is full. The others: before Redis 7 a script reports an
error of one of its commands in the middle of a sentence.
"""


class Backoff(Retry):
    """Retries for ever while Redis is unreachable, loads its file, is full or cannot write.

    redis-py retries none of the last two, and the others ten times. The log has the first and the last failure of a wait.
    """

    def __init__(self) -> None:
        super().__init__(ExponentialBackoff(cap=LONGEST_SECONDS, base=FIRST_SECONDS), retries=-1)

    def call_with_retry(  # redis-py's signature
        self,
        do: Callable[[], Any],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,  # noqa: ARG002 - `temporary` decides
        with_failure_count: bool = False,
    ) -> Any:  # noqa: ANN401 - as above
        """Return the result of `do`, once it succeeds. Raises a RedisError that is not temporary."""
        failures = 0
        while True:
            try:
                result = do()
            except RedisError as error:
                failures += 1
                fail(error, failures) if with_failure_count else fail(error)
                if not temporary(error):
                    raise
                if failures == 1:
                    logger.warning("waiting for Redis: %s", error)
            else:
                if failures:
                    logger.info("Redis answers again, after %d failed tries", failures)
                return result
            time.sleep(self._backoff.compute(failures))


def temporary(error: RedisError) -> bool:
    """Return whether the same command may succeed later. BusyLoadingError is a ConnectionError."""
    if isinstance(error, RedisConnectionError | RedisTimeoutError | OutOfMemoryError | ReadOnlyError):
        return True
    return any(name in str(error) for name in TEMPORARY)
