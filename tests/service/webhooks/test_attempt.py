"""Attempts: what the headers of a response mean, and what the log may say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from service.webhooks.attempt import retry_after
from service.webhooks.retry_schedule import RetrySchedule


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", 0), ("0", 0), ("120", 120), ("-5", 0), ("soon", 0), ("1e3", 0), ("²", 0), ("9" * 400, 999_999_999)],
)
def test_retry_after_in_seconds(header: str, seconds: float) -> None:
    """What is no number of seconds counts as absent."""
    assert retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    """A date in the past is no pause."""
    now = datetime.now(UTC)
    assert 50 < retry_after(format_datetime(now + timedelta(seconds=60), usegmt=True)) <= 60
    assert retry_after(format_datetime(now - timedelta(seconds=60), usegmt=True)) == 0


def test_a_pause_is_at_least_what_the_receiver_asks_for() -> None:
    """Up to the longest pause of the schedule."""
    schedule = RetrySchedule()
    assert schedule.pause(1, retry_after_seconds=120) == 120
    assert schedule.pause(1, retry_after_seconds=86_400) == schedule.longest_seconds
    assert schedule.pause(9, retry_after_seconds=1) >= schedule.longest_seconds / 2


def test_the_pauses_grow_to_an_hour_in_all() -> None:
    """Each is twice the one before, spread at random, never over the longest; some fifteen attempts."""
    schedule = RetrySchedule()
    for attempt in (*range(1, 50), 2000):
        most = min(600, 4 * 2.0 ** min(attempt - 1, 50))
        assert most / 2 <= schedule.pause(attempt) <= most
    slowest = [min(600, 4 * 2.0**k) for k in range(12)]
    assert sum(slowest) < schedule.total_seconds < sum(slowest) + 1200
