"""Fair timing on a noisy machine: sides take turns, the median counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from tqdm import tqdm

Action = Callable[[], object]


def alternating(sides: Mapping[str, Action], *, repeats: int, warm: bool = True) -> dict[str, float]:
    """Return the median seconds of each action; every repeat runs all of them once, in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in tqdm(range(repeats + warm), desc=", ".join(sides), leave=False):
        for name, action in sides.items():
            begun = time.perf_counter()
            action()
            if repeat >= warm:
                seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(each) for name, each in seconds.items()}
