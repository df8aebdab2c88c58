"""Threads for the rows of a batch, which are independent of each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Threads:
    """A pool of `count` threads. Calls must release the interpreter lock, as torch, numpy and the C++ code do."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="sampling") if count > 1 else None

    def map(self, call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return the results in order. Raises the error of the first call that failed."""
        if self._pool and len(items) > 1:
            return list(self._pool.map(call, items))
        return [call(item) for item in items]
