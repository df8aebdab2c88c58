"""Registrations of workers: who lives, as `announce` keeps it in Redis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.contract.redis_clock import milliseconds


def live_workers(registrations: Iterable[Any], clock: tuple[int, int]) -> list[str]:
    """Return the names of the live workers of a model.

    `registrations`: the sorted set at `workers_key` with its scores. `clock`: the reply to TIME. A dead worker stays
    in the set until another one announces itself.
    """
    now = milliseconds(clock)
    return [name.decode() for name, until in registrations if float(until) > now]
