"""Work that another thread does a little later, and that no test leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer


@contextmanager
def later(seconds: float, work: Callable[[], object]) -> Iterator[None]:
    """`work` begins in `seconds`, and has ended when this is left: fixtures may then close what it uses."""
    timer = Timer(seconds, work)
    timer.start()
    try:
        yield
    finally:
        timer.join()
