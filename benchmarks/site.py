"""The three processes of the service, with a toy model unless told otherwise, and how much memory they hold."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

import psutil
import redis
import torch

from models.cards import WEIGHTS, ModelCard
from models.checkpoint import save_model
from models.config import Geometry, ModelConfig, Stage, Widths
from models.network import build
from service.contract.redis_keys import workers_key
from service.local.processes import free_port, redis_binary

MODEL = "toy"
GEOMETRY = Geometry(size=8, slice_size=4)
START_SECONDS = 180
"""A worker may have to compile the sampler first."""


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """Bytes: what API and worker have resident, and what Redis has allocated; and how many keys Redis holds."""

    api_bytes: int
    worker_bytes: int
    redis_bytes: int
    keys: int


@dataclass(frozen=True, kw_only=True)
class BenchmarkSite:
    """Where the API and Redis listen."""

    port: int
    api: int
    worker: int
    store: redis.Redis

    def memory(self) -> MemoryUse:
        """Now."""
        return MemoryUse(
            api_bytes=psutil.Process(self.api).memory_info().rss,
            worker_bytes=psutil.Process(self.worker).memory_info().rss,
            redis_bytes=int(self.store.info("memory")["used_memory"]),
            keys=int(self.store.dbsize()),
        )


@contextmanager
def site(
    *, retention_seconds: int, worker_nice: int = 0, worker_module: str = "worker.main", shipped: str = ""
) -> Iterator[BenchmarkSite]:
    """Redis that syncs every write, one API process, one worker; the API's log goes to a file, as it would.

    `shipped` names a model in models/weights, drawn by compiled code; else it is a toy, eager.
    """
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder, store_port, port = Path(name), free_port(), free_port()
        save_toy(folder / "models" / MODEL)
        environment = variables(folder, port=port, store_port=store_port, retention_seconds=retention_seconds)
        if shipped:
            environment |= {"SPN_MODELS": str(WEIGHTS), "SPN_MODEL": shipped, "SPN_COMPILE": "1"}
        log = stack.enter_context((folder / "log").open("w"))
        stack.enter_context(child(redis_command(folder, store_port), environment, log.fileno()))
        store = stack.enter_context(redis.Redis(port=store_port))
        until(lambda: answers(store))
        command = ["nice", "-n", str(worker_nice), sys.executable, "-m", worker_module]
        worker = stack.enter_context(child(command, environment, log.fileno()))
        api = stack.enter_context(child([sys.executable, "-m", "service.main"], environment, log.fileno()))
        until(lambda: healthy(port) and bool(store.zcard(workers_key(shipped or MODEL))))
        yield BenchmarkSite(port=port, api=api.pid, worker=worker.pid, store=store)


def save_toy(folder: Path) -> None:
    """Random weights, as narrow as they go."""
    widths = Widths(width=16, blocks=2, heads=2, conv_width=12, embedder_blocks=1)
    config = ModelConfig(geometry=GEOMETRY, controls=(), widths=dict.fromkeys(Stage, widths))
    torch.manual_seed(0)
    save_model(build(config), ModelCard(name=MODEL, config=config, sha256="", parameters=0), folder)


def variables(folder: Path, *, port: int, store_port: int, retention_seconds: int) -> dict[str, str]:
    """The environment of worker and API."""
    settings = {
        "REDIS_URL": f"redis://127.0.0.1:{store_port}/0",
        "MODELS": str(folder / "models"),
        "MODEL": MODEL,
        "PORT": str(port),
        "COMPILE": "0",
        "QUEUE_BOUND": "100000",
        "RETENTION_SECONDS": str(retention_seconds),
    }
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **threads, **{f"SPN_{name}": value for name, value in settings.items()}}


def redis_command(folder: Path, port: int) -> list[str]:
    """As `make serve` runs it."""
    options = {"port": port, "bind": "127.0.0.1", "dir": folder, "appendonly": "yes", "appendfsync": "always"}
    return [
        redis_binary(),
        "--save",
        "",
        *(str(word) for name, value in options.items() for word in (f"--{name}", value)),
    ]


@contextmanager
def child(command: list[str], environment: Mapping[str, str], log: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(ready: Callable[[], bool]) -> None:
    """Wait for `ready`. Raises TimeoutError."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the three processes did not start")
        time.sleep(0.1)


def answers(store: redis.Redis) -> bool:
    """Whether Redis does."""
    try:
        return bool(store.ping())
    except redis.RedisError:
        return False


def healthy(port: int) -> bool:
    """Whether the API answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
            return True
    except OSError:
        return False
