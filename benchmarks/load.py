"""The API under load: `python -m benchmarks.load`.

First many open event streams beside many polls, for a minute: every watcher submits a job, watches it to its end and
submits the next. With `--attacks` the same again, beside the attacks of `benchmarks.attacks`. Then memory while jobs come,
end and pass their retention, from a worker that generates random values. Redis, one API process and a worker with a toy
model are started for it; this process is the load. Latency counts from the moment a poll was due, not sent.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.attacks import HONEST, RECEIVERS, attacked
from benchmarks.caller import Caller, UnexpectedStatusError, events, submitted
from benchmarks.site import GEOMETRY, BenchmarkSite, MemoryUse, site
from service.contract.redis_keys import ENDED, owned_key

JSON = Path("docs/benchmarks/load.json")
POLLERS = 32
SUBMITTERS = 16
LATE_SECONDS = 1.0
SLOW_SECONDS = 0.15
DRAIN_SECONDS = 180
WORKER_NICE = 10
"""Real workers have their own device. Here a worker would take a core from the measured API."""

SAMPLE_SECONDS = 2
ENDS = frozenset({"succeeded", "failed", "canceled"})
EVENTS = len(GEOMETRY.steps) + 3
"""Events of a job with one image: queued, running, its slices, succeeded."""


@dataclass
class LoadResults:
    """The observations of watchers and pollers."""

    latencies: list[float] = field(default_factory=list)
    slow_at: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    watched: int = 0
    lost: list[str] = field(default_factory=list)
    failed_polls: list[str] = field(default_factory=list)


class LoadGenerator:
    """A load generator: watchers and pollers of one API process."""

    def __init__(self, port: int, *, streams: int, polls_per_second: int) -> None:
        self._port, self._streams, self._rate = port, streams, polls_per_second
        self._jobs: list[str] = [""] * streams
        self._opened = [asyncio.Event() for _ in range(streams)]
        self._over = asyncio.Event()
        self._begun = 0.0
        self.figures = LoadResults()

    async def run(self, seconds: float) -> LoadResults:
        """Open all streams, then poll for some seconds. Streams that are open then are watched to their end."""
        watchers = [asyncio.create_task(self._watch(place)) for place in range(self._streams)]
        opened = asyncio.create_task(self._all_opened())
        ended, _ = await asyncio.wait([opened, *watchers], return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()  # a watcher ends before that only if it fails
        self.figures = LoadResults()
        await self._poll(seconds)
        self._over.set()
        done, left = await asyncio.wait(watchers, timeout=DRAIN_SECONDS)
        for task in done:
            task.result()
        self.figures.lost.extend("not ended" for _ in left)
        for task in left:
            task.cancel()
        return self.figures

    async def _all_opened(self) -> None:
        for place in self._opened:
            await place.wait()

    async def _watch(self, place: int) -> None:
        while not self._over.is_set():
            await self._follow(place, await submitted(self._port))

    async def _follow(self, place: int, job: str) -> None:
        opened, ids, kind = time.time(), list[str](), ""
        try:
            async for event in events(self._port, job):
                self._jobs[place], kind = job, event.kind
                self._opened[place].set()
                ids.append(event.id)
                written = int(event.id.partition("-")[0]) / 1000
                if written > opened:
                    self.figures.delays.append(time.time() - written)
        except (OSError, UnexpectedStatusError, asyncio.IncompleteReadError) as error:
            self.figures.lost.append(f"{job}: {error}")
            return
        self.figures.watched += 1
        if kind not in ENDS or len(set(ids)) != EVENTS or len(ids) != EVENTS:
            self.figures.lost.append(f"{job}: {len(ids)} events, the last one {kind!r}")

    async def _poll(self, seconds: float) -> None:
        due: asyncio.Queue[float] = asyncio.Queue()
        pollers = [asyncio.create_task(self._polls(due, number)) for number in range(POLLERS)]
        begun = self._begun = time.perf_counter()
        for tick in range(int(seconds * self._rate)):
            moment = begun + tick / self._rate
            await asyncio.sleep(max(0, moment - time.perf_counter()))
            due.put_nowait(moment)
        await due.join()
        for task in pollers:
            task.cancel()

    async def _polls(self, due: asyncio.Queue[float], place: int) -> None:
        caller = Caller(self._port)
        while True:
            moment, place = await due.get(), (place + POLLERS) % self._streams
            try:
                await caller.poll(self._jobs[place])
                self.figures.latencies.append(time.perf_counter() - moment)
                if self.figures.latencies[-1] > SLOW_SECONDS:
                    self.figures.slow_at.append(moment - self._begun)
            except (OSError, UnexpectedStatusError, asyncio.IncompleteReadError) as error:
                self.figures.failed_polls.append(str(error))
            due.task_done()


def summary(figures: LoadResults) -> dict[str, Any]:
    """Return the figures in milliseconds; an event is late after LATE_SECONDS."""
    return {
        "polls": len(figures.latencies),
        "failed_polls": len(figures.failed_polls),
        "poll_ms": quantiles(figures.latencies),
        "slow_polls_by_second": dict(sorted(Counter(int(second) for second in figures.slow_at).items())),
        "streams_watched_to_their_end": figures.watched,
        "streams_lost": len(figures.lost),
        "lost": figures.lost[:5] + figures.failed_polls[:5],
        "events": len(figures.delays),
        "event_delay_ms": quantiles(figures.delays),
        "events_late": sum(delay > LATE_SECONDS for delay in figures.delays),
    }


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Return median, 99th percentile and maximum, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return {
        name: round(1000 * value, 1) for name, value in (("p50", cuts[49]), ("p99", cuts[98]), ("max", max(seconds)))
    }


async def submit_all(here: BenchmarkSite, jobs: int, *, at_once: int) -> None:
    """Submit `jobs` jobs, with at most `at_once` that have not ended."""
    left = iter(range(jobs))

    async def some() -> None:
        for _ in left:
            while (await asyncio.to_thread(waiting, here)) > at_once:  # noqa: ASYNC110 - the API has no event for it
                await asyncio.sleep(0.2)
            await submitted(here.port)

    await asyncio.gather(*(some() for _ in range(SUBMITTERS)))
    while await asyncio.to_thread(waiting, here):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.2)


def waiting(here: BenchmarkSite) -> int:
    """Return the number of jobs that have not ended."""
    return int(here.store.zcard(owned_key("", "active")))


async def memory(here: BenchmarkSite, jobs: int, retention_seconds: int) -> dict[str, Any]:
    """Measure the memory of a few jobs, then of `jobs` jobs, most of which expire while others come."""
    await submit_all(here, 50, at_once=50)
    await asyncio.sleep(retention_seconds + 3)
    empty = here.memory()
    few = min(jobs // 10, 500)
    await submit_all(here, few, at_once=few)
    kept, known = here.memory(), int(here.store.zcard(ENDED))
    samples: list[MemoryUse] = []
    watching = asyncio.create_task(sampled(here, samples))
    begun = time.perf_counter()
    await submit_all(here, jobs, at_once=200)
    seconds = time.perf_counter() - begun
    await asyncio.sleep(retention_seconds + 3)
    watching.cancel()
    return {
        "jobs": jobs,
        "retention_seconds": retention_seconds,
        "jobs_per_second": round(jobs / seconds, 1),
        "redis_bytes_per_kept_job": round((kept.redis_bytes - empty.redis_bytes) / known),
        "empty": asdict(empty),
        "highest": {name: max(getattr(each, name) for each in samples) for name in asdict(empty)},
        "after_all_are_past_their_retention": asdict(here.memory()),
        **{f"{name}_mib_by_tenths": mib(samples, f"{name}_bytes") for name in ("api", "worker", "redis")},
    }


async def sampled(here: BenchmarkSite, samples: list[MemoryUse]) -> None:
    """Sample the memory every SAMPLE_SECONDS, endlessly."""
    while True:
        samples.append(await asyncio.to_thread(here.memory))
        await asyncio.sleep(SAMPLE_SECONDS)


def mib(samples: list[MemoryUse], name: str) -> list[float]:
    """Return one figure over time."""
    return [round(getattr(each, name) / 2**20, 1) for each in tenths(samples)]


def tenths(samples: list[MemoryUse]) -> list[MemoryUse]:
    """Return ten samples, evenly spaced."""
    return [samples[(len(samples) - 1) * part // 9] for part in range(10)]


@contextmanager
def machine(found: dict[str, Any]) -> Iterator[None]:
    """Record how busy the machine is meanwhile, all processes together."""
    psutil.cpu_percent()
    found["machine"] = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    yield
    found["machine"] |= {"load_after": os.getloadavg()[0], "cpu_percent": psutil.cpu_percent()}


async def streams(here: BenchmarkSite, args: argparse.Namespace) -> dict[str, Any]:
    """Measure streams and polls, and the memory before, meanwhile and afterwards."""
    before, samples = here.memory(), list[MemoryUse]()
    watching = asyncio.create_task(sampled(here, samples))
    crowd = LoadGenerator(here.port, streams=args.streams, polls_per_second=args.polls)
    found: dict[str, Any] = {"streams": args.streams, "polls_per_second": args.polls, "seconds": args.seconds}
    with machine(found):
        figures = await crowd.run(args.seconds)
    watching.cancel()
    highest = max(each.api_bytes for each in samples) - before.api_bytes
    memory = {"memory": asdict(here.memory()), "api_growth_mib": round(highest / 2**20, 1)}
    return found | summary(figures) | memory


def webhook_options() -> dict[str, str]:
    """Return the settings for webhooks to this machine, with a secret for these."""
    secret = base64.b64encode(os.urandom(32)).decode()
    return {"WEBHOOK_SECRET": f"whsec_{secret}", "WEBHOOK_HOSTS": ",".join((HONEST, *RECEIVERS))}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="The API under load.")
    parser.add_argument("--streams", type=int, default=500, help="event streams that are open all the time")
    parser.add_argument("--polls", type=int, default=100, help="polls per second")
    parser.add_argument("--seconds", type=float, default=60, help="of the first part; 0 leaves it out")
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs of the second part; 0 leaves it out")
    parser.add_argument("--retention", type=int, default=10, help="seconds a job is kept in the second part")
    parser.add_argument("--attacks", action="store_true", help="the first part again, beside attacks")
    parser.add_argument("--json", type=Path, default=JSON)
    args = parser.parse_args()
    found: dict[str, Any] = json.loads(args.json.read_text()) if args.json.exists() else {}
    if args.seconds:
        with site(retention_seconds=3600, worker_nice=WORKER_NICE, options=webhook_options()) as here:
            found["load"] = asyncio.run(streams(here, args))
            if args.attacks:
                seen: dict[str, Any] = {}
                with attacked(here.port, seen):
                    found["load_beside_attacks"] = asyncio.run(streams(here, args))
                found["load_beside_attacks"] |= seen
        print(json.dumps({name: found.get(name) for name in ("load", "load_beside_attacks")}, indent=1))
    if args.jobs:
        with site(retention_seconds=args.retention, worker_module="benchmarks.random_worker") as here:
            found["memory"] = asyncio.run(memory(here, args.jobs, args.retention))
        print(json.dumps(found["memory"], indent=1))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
