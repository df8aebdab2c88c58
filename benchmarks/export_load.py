"""Polls beside exports: `python -m benchmarks.export_load`.

One API process; a job with one finished image of 64 pixels. Polls are sent at a fixed rate, first alone, then while eight
clients want different exports. Both parts run on the same machine one after the other, by turns: compare them only with
each other. Latency counts from the moment a poll was due, not sent.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import redis

from benchmarks.caller import Caller, submitted
from benchmarks.load import quantiles
from benchmarks.site import MODEL, settings_of
from models.checkpoint import save_model
from models.config import Geometry
from models.subscale import Progress
from service.contract.redis_keys import Keys
from service.contract.stream import SliceEntry
from service.contract.transitions import Claim, Transitions
from tests.harness.drawing import acquire
from tests.harness.launcher import ApiServer, RedisServer
from tests.harness.toy import toy_card, toy_networks
from training.data.symbols import Symbols

GEOMETRY: Final = Geometry(size=64, slice_size=16)
CLIENTS: Final = 8
TURNS: Final = 2


class ExportLoad:
    """Polls and exports of one job; `latencies` in seconds."""

    def __init__(self, port: int, job: str) -> None:
        self._port, self._job, self._colours = port, job, count(1)
        self.exported = 0

    async def polls(self, *, rate: float, seconds: float) -> list[float]:
        """Poll at a rate; return the latencies."""
        caller, latencies, begun = Caller(self._port), list[float](), time.perf_counter()
        for tick in range(int(rate * seconds)):
            due = begun + tick / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await caller.poll(self._job)
            latencies.append(time.perf_counter() - due)
        caller.close()
        return latencies

    async def exports(self, *, rate: float) -> None:
        """Request exports that no cache has at a rate, or as fast as they come; endlessly."""
        caller, due = Caller(self._port), time.perf_counter()
        while True:
            colour = f"{next(self._colours) * 7919 % (1 << 24):06x}"
            await caller.file(f"/jobs/{self._job}/images/0?format=svg&ground={colour}")
            self.exported += 1
            due = max(due + 1 / rate, time.perf_counter() - 1)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def both(self, *, polls: float, exports: float, seconds: float) -> list[float]:
        """Poll while all clients export; return the latencies of the polls."""
        clients = [asyncio.create_task(self.exports(rate=exports / CLIENTS)) for _ in range(CLIENTS)]
        latencies = await self.polls(rate=polls, seconds=seconds)
        for each in clients:
            each.cancel()
        return latencies


def finished_job(store: redis.Redis, port: int) -> str:
    """Return a job with one held-out image of the data set."""
    job = asyncio.run(submitted(port))
    transitions, claim = Transitions(store), Claim(keys=Keys(id=job, model=MODEL), token="benchmark")  # noqa: S106 - a lease's name
    transitions(acquire(claim))
    progress = Progress.of(Symbols.load(size=64).held_out().first(2).images[1], GEOMETRY)
    for step in range(progress.done):
        transitions(claim.append(SliceEntry.of(progress, step, image=0)))
    transitions(claim.finish())
    return job


async def measure(load: ExportLoad, *, polls: float, exports: float, seconds: float) -> None:
    """Print the latencies of polls alone and beside exports, by turns."""
    await load.both(polls=polls, exports=exports, seconds=2)  # the process of the exports starts
    alone, beside, load.exported = list[float](), list[float](), 0
    for _ in range(TURNS):
        alone += await load.polls(rate=polls, seconds=seconds / TURNS)
        beside += await load.both(polls=polls, exports=exports, seconds=seconds / TURNS)
    print(f"polls alone, ms: {quantiles(alone)}")
    print(f"beside {load.exported / seconds:.0f} exports/s of {CLIENTS} clients, ms: {quantiles(beside)}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Polls beside exports.")
    parser.add_argument("--polls", type=float, default=50, help="per second")
    parser.add_argument("--exports", type=float, default=100, help="per second, all clients together")
    parser.add_argument("--seconds", type=float, default=20, help="of each part")
    options = parser.parse_args()
    with TemporaryDirectory() as name, RedisServer(Path(name) / "redis") as server:
        models = Path(name) / "models"
        save_model(toy_networks(GEOMETRY), toy_card(GEOMETRY), models / MODEL)
        with (
            ApiServer(settings_of(server, models), log=Path(name) / "log") as api,
            redis.Redis(port=server.port) as store,
        ):
            load = ExportLoad(api.port, finished_job(store, api.port))
            asyncio.run(measure(load, polls=options.polls, exports=options.exports, seconds=options.seconds))


if __name__ == "__main__":
    main()
