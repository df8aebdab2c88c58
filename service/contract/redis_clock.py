"""Clock of Redis, the only one by which leases, deadlines and registrations end."""

from __future__ import annotations


def milliseconds(clock: tuple[int, int]) -> int:
    """Return the milliseconds since 1970 of a reply to TIME: seconds and microseconds."""
    seconds, micros = clock
    return int(seconds) * 1000 + int(micros) // 1000
