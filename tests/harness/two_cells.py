"""Two cells on this machine: two Redis servers and the real app of each, without workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from redis import Redis

from service.api_keys import KeyHash
from service.app import create_app
from service.cells.cell_map import CellAddress
from service.local.processes import free_port
from service.server import server_of
from service.settings import ServiceSettings
from tests.harness.launcher import RedisServer
from tests.harness.serving import started

NAMES = ("00", "01")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A running cell: its Redis, a client of it, and a caller of its API."""

    redis: RedisServer
    store: Redis
    http: httpx.Client


@contextmanager
def two_cells(
    folder: Path, models: Path, *, keys: tuple[KeyHash, ...] = (), reaper_seconds: float = 1
) -> Iterator[dict[str, Cell]]:
    """Run both, with the same settings, and yield them by name."""
    addresses = tuple(CellAddress(name=name, url=f"http://127.0.0.1:{free_port()}") for name in NAMES)
    with ExitStack() as stack:
        cells = {}
        for each in addresses:
            server = stack.enter_context(RedisServer(folder / each.name))
            own = ServiceSettings(
                redis_url=server.url,
                models=models,
                model="toy",
                keys=keys,
                reaper_seconds=reaper_seconds,
                cell=each.name,
                cells=addresses,
            )
            url = stack.enter_context(started(server_of(create_app(own), port=int(each.url.rpartition(":")[2]))))
            http = stack.enter_context(httpx.Client(base_url=url, timeout=20))
            cells[each.name] = Cell(redis=server, store=Redis.from_url(server.url), http=http)
        yield cells
