"""Redis servers with settings of a test's own choice."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.local.processes import free_port, redis_binary
from tests.conftest import wait_for_redis


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[int]:
    """The port of a real one, while it runs; `options` as on its command line."""
    port = free_port()
    own = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--loglevel", "warning"]
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        server = subprocess.Popen([redis_binary(), *own, *options], stdout=log, stderr=log)
    try:
        wait_for_redis(port)
        yield port
    finally:
        server.kill()
        server.wait()
