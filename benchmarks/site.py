"""The three processes of the service, by default with a toy model, and their use of memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import redis
import torch

from models.cards import WEIGHTS, ModelCard
from models.checkpoint import save_model
from models.config import Geometry, ModelConfig, Stage, Widths
from models.network import build
from tests.harness.launcher import ApiServer, RedisServer, WorkerProcess

MODEL = "toy"
GEOMETRY = Geometry(size=8, slice_size=4)


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """Resident bytes of API and worker, allocated bytes of Redis, and the number of its keys."""

    api_bytes: int
    worker_bytes: int
    redis_bytes: int
    keys: int


@dataclass(frozen=True, kw_only=True)
class BenchmarkSite:
    """The running processes and their ports."""

    port: int
    api: int
    worker: int
    store: redis.Redis

    def memory(self) -> MemoryUse:
        """Return the present use of memory."""
        return MemoryUse(
            api_bytes=psutil.Process(self.api).memory_info().rss,
            worker_bytes=psutil.Process(self.worker).memory_info().rss,
            redis_bytes=int(self.store.info("memory")["used_memory"]),
            keys=int(self.store.dbsize()),
        )


@contextmanager
def site(
    *,
    retention_seconds: int,
    worker_nice: int = 0,
    worker_module: str = "worker.main",
    shipped: str = "",
    options: Mapping[str, str] | None = None,
) -> Iterator[BenchmarkSite]:
    """Redis that syncs every write, one API process, one worker; the API's log goes to a file, as it would.

    `shipped` names a model in models/weights, which compiled code samples; else it is a toy, eager. `options` are
    further settings.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_toy(folder / "models" / MODEL)
        log = folder / "log"
        with RedisServer(folder / "redis", durable=True, log=log) as server, redis.Redis(port=server.port) as store:
            settings = settings_of(server, folder / "models") | {"RETENTION_SECONDS": str(retention_seconds)}
            settings |= options or {}
            if shipped:
                settings |= {"MODELS": str(WEIGHTS), "MODEL": shipped, "COMPILE": "1"}
            with (
                ApiServer(settings, log=log) as api,
                WorkerProcess(settings, command=["-m", worker_module], nice=worker_nice, log=log) as worker,
            ):
                yield BenchmarkSite(port=api.port, api=api.pid, worker=worker.pid, store=store)


def save_toy(folder: Path) -> None:
    """Save a model of the smallest widths with random weights."""
    widths = Widths(width=16, blocks=2, heads=2, conv_width=12, embedder_blocks=1)
    config = ModelConfig(geometry=GEOMETRY, controls=(), widths=dict.fromkeys(Stage, widths))
    torch.manual_seed(0)
    save_model(build(config), ModelCard(name=MODEL, config=config, sha256="", parameters=0), folder)


def settings_of(server: RedisServer, models: Path) -> dict[str, str]:
    """Return the settings of worker and API for the toy model."""
    return {
        "REDIS_URL": server.url,
        "MODELS": str(models),
        "MODEL": MODEL,
        "COMPILE": "0",
        "QUEUE_BOUND": "100000",
    }
