"""Orderly ends: on SIGTERM and Ctrl-C a run finishes its step, saves and ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether a signal has come; restore the signal handlers at the end."""
    received = Event()

    def receive(_number: int, _frame: FrameType | None) -> None:
        received.set()

    before = {number: signal.signal(number, receive) for number in _SIGNALS}
    try:
        yield received.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
