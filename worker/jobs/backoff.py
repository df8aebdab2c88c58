"""How the worker's main thread waits for Redis: as long as it takes, whatever passes by itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as AwayError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as SilentError
from redis.retry import Retry

logger = logging.getLogger(__name__)

FIRST_SECONDS, LONGEST_SECONDS = 0.05, 1
"""Between two questions: doubling from the first to the longest. Redis is back for at most the longest unnoticed."""

PASSING = ("MISCONF", "-OOM", "-READONLY")
"""What redis-py has no class for: Redis cannot write its append-only file, as on a full disk; and, before Redis 7, whatever a
script met inside, which is told in the middle of a sentence.
"""


class Patience(Retry):
    """Asks again for ever while Redis is away, loads its file, is full, or cannot write; redis-py gives up on the last two,
    and on the first after ten times. Logs the beginning and the end of a wait.
    """

    def __init__(self) -> None:
        super().__init__(ExponentialBackoff(cap=LONGEST_SECONDS, base=FIRST_SECONDS), retries=-1)

    def call_with_retry(  # redis-py's signature
        self,
        do: Callable[[], Any],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,  # noqa: ARG002 - what passes is said by `passing`
        with_failure_count: bool = False,
    ) -> Any:  # noqa: ANN401 - as above
        """What `do` gives, once it does. Raises the RedisError that waiting does not cure."""
        failures = 0
        while True:
            try:
                result = do()
            except RedisError as error:
                failures += 1
                fail(error, failures) if with_failure_count else fail(error)
                if not passing(error):
                    raise
                if failures == 1:
                    logger.warning("waiting for Redis: %s", error)
            else:
                if failures:
                    logger.info("Redis answers again, after %d tries", failures)
                return result
            time.sleep(self._backoff.compute(failures))


def passing(error: RedisError) -> bool:
    """Whether the same question may be answered later. BusyLoadingError is a ConnectionError too."""
    if isinstance(error, AwayError | SilentError | OutOfMemoryError | ReadOnlyError):
        return True
    return any(name in str(error) for name in PASSING)
