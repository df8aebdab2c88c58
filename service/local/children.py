"""Child processes of `service.local`: restarted when they die, ended together with this process."""

from __future__ import annotations

import ctypes
import logging
import os
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
"""A process that lived this long is restarted after the shortest pause."""

PR_SET_PDEATHSIG = 1
"""Number in Linux' <sys/prctl.h>."""


class Child:
    """A child process that is terminated on leaving, and by the kernel if this process is killed.

    It has its own session: Ctrl-C reaches this process only, which ends its children in order.
    """

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
        """Whether it has ended."""
        return self.status is not None

    @property
    def status(self) -> int | None:
        """Exit status as of subprocess: None while it runs, negative for a signal; 0 before the first start."""
        return self._process.poll() if self._process else 0

    def start(self) -> None:
        """Start it, again or for the first time. It inherits the lock and holds it until it ends."""
        descriptors = (self._lock.fileno(),) if self._lock else ()
        self._started, self._due = time.monotonic(), None
        parent = os.getpid()
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            pass_fds=descriptors,
            start_new_session=True,
            preexec_fn=lambda: end_with_parent(parent),  # noqa: PLW1509 - this process has one thread
        )

    def revive(self) -> None:
        """Restart it after a pause if it has ended; the pause doubles with every short life. Call this regularly."""
        if not self.ended:
            return
        now = time.monotonic()
        if self._due is None:
            steady = now - self._started > STEADY_SECONDS
            self._pause = PAUSE_SECONDS if steady else min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            self._due = now + self._pause
            logger.warning("%s ended (%s); restart in %g s", self._command[-1], self.status, self._pause)
        elif now >= self._due:
            self.start()

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if it has not ended after STOP_SECONDS."""
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


def end_with_parent(parent: int) -> None:
    """Let the kernel send SIGTERM to this process when `parent` ends, however it ends. Elsewhere than on Linux do nothing."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the call
        os.kill(os.getpid(), signal.SIGTERM)
