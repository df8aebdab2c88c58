"""Threads that draw: the pictures of a batch are independent of each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Threads:
    """Calls `count` at a time. What they do lets go of the interpreter lock: so do torch, numpy and the C++ code."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="draw") if count > 1 else None

    def map(self, call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The results in order. Raises what the first call that failed raised."""
        if self._pool and len(items) > 1:
            return list(self._pool.map(call, items))
        return [call(item) for item in items]
