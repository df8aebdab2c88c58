"""A process that can be killed, stopped, continued and started again."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock


class Process:
    """One command; what it says is appended to `log`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, environment, log
        self._lock = Lock()
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the last start, 0 before the first."""
        return self._running.pid if self._running else 0

    @property
    def alive(self) -> bool:
        """Whether it runs, or is stopped."""
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        """Start it, unless it is alive; from any thread."""
        with self._lock, self._log.open("a") as log:
            if not self.alive:
                self._running = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> float:
        """SIGKILL; the time at which it was gone."""
        if self._running:
            self._running.kill()
            self._running.wait()
        return time.time()

    def send(self, number: signal.Signals) -> None:
        """Any signal."""
        if self._running:
            self._running.send_signal(number)

    def exit_code(self, *, within_seconds: float) -> int | None:
        """How it ended; None if it did not in time."""
        try:
            return self._running.wait(within_seconds) if self._running else None
        except subprocess.TimeoutExpired:
            return None
