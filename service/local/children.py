"""Child processes that are kept running and taken down together, for `service.local`."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import IO, Self

logger = logging.getLogger(__name__)

STOP_SECONDS = 5
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 32.0
STEADY_SECONDS = 60.0
"""Who has lived so long is started again after the shortest pause."""


class Child:
    """A child process that is terminated on leaving. It has its own session: Ctrl-C is for us to pass on, in order."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str] | None = None, *, lock: IO[str] | None = None
    ) -> None:
        self._command = [sys.executable, *command] if command[0] == "-m" else command
        self._environment, self._lock = environment, lock
        self._process: subprocess.Popen[bytes] | None = None
        self._started, self._pause = 0.0, PAUSE_SECONDS / 2
        self._due: float | None = None

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self.status is not None

    @property
    def status(self) -> int | None:
        """As of subprocess: None while it runs, negative where a signal ended it; of one never started, 0."""
        return self._process.poll() if self._process else 0

    def start(self) -> None:
        """Start it, again or for the first time. It inherits the lock, and so holds it for as long as it lives."""
        descriptors = (self._lock.fileno(),) if self._lock else ()
        self._started, self._due = time.monotonic(), None
        self._process = subprocess.Popen(
            self._command, env=self._environment, pass_fds=descriptors, start_new_session=True
        )

    def revive(self) -> None:
        """Call this now and then: if it has ended, it is started again after a pause, doubled with every short life."""
        if not self.ended:
            return
        now = time.monotonic()
        if self._due is None:
            steady = now - self._started > STEADY_SECONDS
            self._pause = PAUSE_SECONDS if steady else min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            self._due = now + self._pause
            logger.warning("%s ended (%s); again in %g s", self._command[-1], self.status, self._pause)
        elif now >= self._due:
            self.start()

    def terminate(self) -> None:
        """Ask it to end, with SIGTERM."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Terminate it, and kill it if that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
