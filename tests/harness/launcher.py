"""Start Redis, the API and workers as an operator does: the one launcher of tests, benchmarks and the failure matrix."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Self

import httpx
import redis

from service.contract.redis_keys import workers_key
from service.local.processes import free_port, redis_command

ROOT = Path(__file__).parents[2]
START_SECONDS = 180
"""A worker may compile the sampler first."""

STOP_SECONDS = 30
POLL_SECONDS = 0.05
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Idle threads of libraries spin, and many processes share the machine."""


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process' environment with `settings`, named without their prefix."""
    return {**os.environ, **ONE_THREAD, **{f"SPN_{name}": value for name, value in settings.items()}}


def run_module(module: str, *arguments: str, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a module until it ends and return its exit status and output."""
    command = [sys.executable, "-m", module, *arguments]
    own = environment(settings)
    return subprocess.run(command, env=own, capture_output=True, text=True, check=False, timeout=START_SECONDS)


class ManagedProcess:
    """A process that can be killed, stopped, continued and started again. Its output is appended to `log`, if there is one."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        log: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        self._command, self._environment, self._log, self._folder = command, environment, log, folder
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"{' '.join(map(str, self._command))} (log: {self._log or 'above'})"

    @property
    def pid(self) -> int:
        """Process id of the last start, 0 before the first."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether it runs or is stopped by a signal."""
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Return whether it serves; subclasses ask it."""
        return self.alive

    def launch(self) -> None:
        """Start it, unless it is alive, and do not wait. Safe from any thread."""
        with self._lock:
            if self.alive:
                return
            log = self._log.open("a") if self._log else None
            try:
                self._process = subprocess.Popen(
                    self._command, env=self._environment, cwd=self._folder, stdout=log, stderr=log
                )
            finally:
                if log:
                    log.close()

    def start(self) -> None:
        """Start it and wait until it is ready. Raises RuntimeError if it ends, TimeoutError if that takes too long."""
        self.launch()
        until(self.ready, self)

    def kill(self) -> float:
        """Send SIGKILL and return the time at which the process was gone."""
        if self._process:
            self._process.kill()
            self._process.wait()
        return time.time()

    def send(self, number: signal.Signals) -> None:
        """Send any signal."""
        if self._process:
            self._process.send_signal(number)

    def exit_code(self, *, within_seconds: float) -> int | None:
        """Return its exit status, or None if it has not ended in time."""
        try:
            return self._process.wait(within_seconds) if self._process else None
        except subprocess.TimeoutExpired:
            return None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class RedisServer(ManagedProcess):
    """A Redis of its own, always at one port. `durable`: with the append-only file of `make serve`, which survives a kill."""

    def __init__(self, folder: Path, *options: str, durable: bool = False, log: Path | None = None) -> None:
        self.port = free_port()
        in_memory = () if durable else ("--appendonly", "no")
        command = [*redis_command(folder, self.port), *in_memory, *options]
        super().__init__(command, os.environ, log=log or folder.parent / f"{folder.name}-redis.log")

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def ready(self) -> bool:
        """Return whether it answers."""
        with redis.Redis(port=self.port) as client, suppress(redis.RedisError):
            return bool(client.ping())
        return False


class ApiServer(ManagedProcess):
    """`python -m service.main` of a checkout, always at one port."""

    def __init__(self, settings: Mapping[str, str], *, log: Path | None = None, checkout: Path | None = None) -> None:
        self.port = int(settings.get("PORT", free_port()))
        own = {**settings, "PORT": str(self.port)}
        super().__init__([sys.executable, "-m", "service.main"], environment(own), log=log, folder=checkout)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> bool:
        """Return whether it answers."""
        return answers(f"{self.url}/healthz")


class WorkerProcess(ManagedProcess):
    """`python -m worker.main` of a checkout, or a module like it. Ready once a worker is announced that was not before."""

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        command: Sequence[str] = ("-m", "worker.main"),
        nice: int = 0,
        log: Path | None = None,
        checkout: Path | None = None,
    ) -> None:
        self._redis_url, self._model = settings["REDIS_URL"], settings["MODEL"]
        self._before: set[str] = set()
        command = ["nice", "-n", str(nice), sys.executable, *command]
        super().__init__(command, environment(settings), log=log, folder=checkout)

    def launch(self) -> None:
        """Start it, unless it is alive, and do not wait."""
        if not self.alive:
            self._before = announced(self._redis_url, self._model)
        super().launch()

    def ready(self) -> bool:
        """Return whether it waits for jobs."""
        return bool(announced(self._redis_url, self._model) - self._before)


class LocalService(ManagedProcess):
    """What `make serve` runs, in `folder`; `command` may set variables before it."""

    def __init__(
        self, folder: Path, settings: Mapping[str, str], *, command: str = "make serve", log: Path | None = None
    ) -> None:
        self.port = free_port()
        ours = command.replace("make serve", f"exec {sys.executable} -m service.local")
        assert ours != command, command
        own = {**environment(settings), "PORT": str(self.port), "PYTHONPATH": str(ROOT)}
        super().__init__(["/bin/sh", "-c", ours], own, log=log, folder=folder)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> bool:
        """Return whether an API and a worker serve."""
        with suppress(httpx.TransportError):
            return any(httpx.get(f"{self.url}/readyz", trust_env=False).json()["workers"].values())
        return False

    def __exit__(self, *_: object) -> None:
        self.send(signal.SIGTERM)
        self.exit_code(within_seconds=STOP_SECONDS)
        self.kill()


@contextmanager
def workers(settings: Mapping[str, str], *, count: int) -> Iterator[list[WorkerProcess]]:
    """Run `count` workers, started side by side and ready."""
    processes = [WorkerProcess(settings) for _ in range(count)]
    before = announced(settings["REDIS_URL"], settings["MODEL"])
    try:
        for process in processes:
            process.launch()
        until(lambda: len(announced(settings["REDIS_URL"], settings["MODEL"]) - before) == count, *processes)
        yield processes
    finally:
        for process in processes:
            process.kill()


@contextmanager
def working(settings: Mapping[str, str], *, command: Sequence[str] = ("-m", "worker.main")) -> Iterator[WorkerProcess]:
    """Empty Redis, then run a worker on it."""
    with redis.Redis.from_url(settings["REDIS_URL"]) as client:
        client.flushall()
    with WorkerProcess(settings, command=command) as worker:
        yield worker


def eager(redis_url: str, models: Path, model: str, **settings: str) -> dict[str, str]:
    """Return settings for API and worker: nothing is compiled, and the worker has one thread."""
    own = {"REDIS_URL": redis_url, "MODELS": str(models), "MODEL": model, "COMPILE": "0", "THREADS": "1"}
    return {**own, **settings}


def until(ready: Callable[[], bool], *processes: ManagedProcess) -> None:
    """Wait for `ready`. Raises RuntimeError if a process ends before, TimeoutError if it takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if ended := [process for process in processes if not process.alive]:
            raise RuntimeError(f"{ended[0]} ended before it was ready")
        if time.monotonic() > deadline:
            raise TimeoutError(f"{processes} were not ready within {START_SECONDS} s")
        time.sleep(POLL_SECONDS)


def announced(redis_url: str, model: str) -> set[str]:
    """Return the names of the workers of `model` that Redis knows, also of those that have died; none without Redis."""
    with redis.Redis.from_url(redis_url) as client, suppress(redis.RedisError):
        return {name.decode() for name in client.zrange(workers_key(model), 0, -1)}
    return set()


def answers(url: str) -> bool:
    """Return whether a GET succeeds."""
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False
