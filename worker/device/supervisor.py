"""One worker process per device: what `python -m worker.main` becomes where SPN_DEVICES is set.

A process of its own for each, since a worker's loop draws one batch at a time, and what a device breaks ends one worker.
Whichever dies is started again; its jobs go on elsewhere once their leases run out. SIGTERM and SIGINT, the first and the
second, are passed on to all; it ends when all have, with status 0 if all that ran handed their jobs back. Without torch.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from service.contract import logs
from service.contract.children import Child
from worker.settings import WorkerSettings

POLL_SECONDS = 0.1

UNSTARTED = -signal.SIGTERM
"""The status of a worker that was told to end while it loaded its model: it held nothing."""


def main() -> int:
    """Run a worker on each of SPN_DEVICES until told to stop."""
    settings = WorkerSettings()
    logs.configure(settings.log_format)
    return Supervisor([worker_on(settings, number) for number in range(len(settings.devices))]).run()


DRAINED = {0, UNSTARTED, -signal.SIGTERM}
"""Statuses of children that left nothing behind. SIGTERM itself ends only one that was still loading and held no job."""


class Supervisor:
    """Keeps children running until a signal comes."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self._signals = self._passed = 0
        self._draining: Sequence[Child] = ()

    def run(self) -> int:
        """Returns the exit status once all have ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._count)
        for child in self._children:
            child.start()
        while not (self._passed and all(child.ended for child in self._children)):
            self._step()
            time.sleep(POLL_SECONDS)
        return int(any(child.status not in DRAINED for child in self._draining))

    def _step(self) -> None:
        """The one place that starts and signals, so that neither can come between the other's halves."""
        if self._passed < self._signals:
            self._passed += 1
            self._draining = self._draining or [child for child in self._children if not child.ended]
            for child in self._draining:
                child.terminate()
        elif not self._passed:
            for child in self._children:
                child.revive()

    def _count(self, _signal: int, _frame: FrameType | None) -> None:
        self._signals += 1


def worker_on(settings: WorkerSettings, number: int) -> Child:
    """A worker on one of the devices, with a metrics port of its own."""
    port = settings.metrics_port and settings.metrics_port + number
    own = {"SPN_DEVICES": "", "SPN_DEVICE": settings.devices[number], "SPN_METRICS_PORT": str(port)}
    return Child(["-m", "worker.main"], {**os.environ, **own})


if __name__ == "__main__":
    sys.exit(main())
