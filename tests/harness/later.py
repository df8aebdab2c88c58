"""Work of another thread that starts a little later and ends within the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer


@contextmanager
def later(seconds: float, work: Callable[[], object]) -> Iterator[None]:
    """Start `work` after `seconds`; it has ended when the block is left, so that fixtures may close what it uses."""
    timer = Timer(seconds, work)
    timer.start()
    try:
        yield
    finally:
        timer.join()
