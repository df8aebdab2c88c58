"""Supervisor of the tasks that run beside the requests: none ends silently."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import StrEnum
from typing import Self

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
STEADY_SECONDS = 60.0
"""A task that has run for so long since its last failure counts as running again."""

STOP_SECONDS = 0.2


class TaskState(StrEnum):
    """State of a task, as /readyz shows it."""

    RUNNING = "running"
    FAILING = "failing"


class Supervisor:
    """Supervisor that restarts each task whenever it ends, and calls `restarted` with its name."""

    def __init__(
        self,
        tasks: Mapping[str, Callable[[], Awaitable[None]]],
        *,
        restarted: Callable[[str], None],
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._tasks, self._restarted, self._first_pause_seconds = dict(tasks), restarted, first_pause_seconds
        self._failed_at: dict[str, float] = {}
        self._running: set[asyncio.Task[None]] = set()

    @property
    def states(self) -> dict[str, TaskState]:
        """State of each task: failing if it ended within the last STEADY_SECONDS."""
        since = time.monotonic() - STEADY_SECONDS
        recent = {name for name, failed_at in self._failed_at.items() if failed_at > since}
        return {name: TaskState.FAILING if name in recent else TaskState.RUNNING for name in self._tasks}

    async def __aenter__(self) -> Self:
        self._running = {asyncio.create_task(self._keep(name)) for name in self._tasks}
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop(self._running)

    async def _keep(self, name: str) -> None:
        """Run a task for ever. The pause doubles with each failure, until it has been steady."""
        pause = self._first_pause_seconds
        while True:
            started = time.monotonic()
            try:
                await self._tasks[name]()
                logger.error("background task %s returned; it restarts in %.1f s", name, pause)
            except Exception:
                logger.exception("background task %s failed; it restarts in %.1f s", name, pause)
            self._failed_at[name] = time.monotonic()
            self._restarted(name)
            if self._failed_at[name] - started > STEADY_SECONDS:
                pause = self._first_pause_seconds
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def stop(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until all have ended.

    Once is not enough. redis-py writes under `asyncio.wait_for`, which in Python 3.11 loses a cancellation that arrives
    together with its result (seen once in some seventy stops).
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=STOP_SECONDS)
