"""The cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> float:
    """Return how many cores this process may use: its affinity, or a container's quota if that is less."""
    allowed = float(len(os.sched_getaffinity(0)))
    quota, period = QUOTA.read_text().split() if QUOTA.is_file() else ("max", "1")
    return allowed if quota == "max" else min(allowed, int(quota) / int(period))


def whole_cores() -> int:
    """Return the number of whole cores that this process may use, at least one."""
    return max(1, int(cores()))
