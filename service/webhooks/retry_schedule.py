"""Schedule of attempts at one delivery."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RetrySchedule:
    """Times between attempts, in seconds, and how often the sender looks for due deliveries.

    The first pause is `first_seconds`; each is twice the one before, up to `longest_seconds`. Up to half of a pause is
    taken off at random. The last attempt is at most `total_seconds` after the first.
    """

    poll_seconds: float = 0.5
    first_seconds: float = 4
    longest_seconds: float = 600
    total_seconds: float = 3600

    def pause(self, attempt: int, *, retry_after_seconds: float = 0) -> float:
        """Return the seconds after attempt number `attempt`: at least what the receiver's Retry-After says.

        Retry-After counts up to `longest_seconds`.
        """
        pause = min(self.longest_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 62))
        spread = pause * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing
        return max(spread, min(retry_after_seconds, self.longest_seconds))
