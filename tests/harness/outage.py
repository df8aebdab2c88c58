"""A Redis of a test's own that can go away and come back with what it had acknowledged."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.local.processes import free_port, redis_binary
from tests.conftest import wait_for_redis


class MortalRedis:
    """Keeps its append-only file in `folder`, always at one port."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder = free_port(), folder
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, or will be again."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns once it answers."""
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder, "save": "", "loglevel": "warning"}
        options |= {"appendonly": "yes", "appendfsync": "always", "logfile": "log"}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._server = subprocess.Popen([redis_binary(), *words])
        wait_for_redis(self.port)

    def kill(self) -> None:
        """As a power cut."""
        if self._server:
            self._server.kill()
            self._server.wait()
            self._server = None


@contextmanager
def mortal_redis(folder: Path) -> Iterator[MortalRedis]:
    """Running, and gone afterwards."""
    server = MortalRedis(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
