"""Cost of an image outside of the networks: `python -m benchmarks.single_jobs`.

Jobs of one image over HTTP, 256 in flight, with one API process and a worker whose networks cost nothing. A caller submits,
waits by long polls, and loads the image. Prints JSON, the medians of several bursts. Of an image these are polls, CPU
milliseconds of Redis, API and worker, and commands of Redis, those inside scripts too. `--against FOLDER` runs another
checkout beside this one; their bursts take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis

from benchmarks.caller import Caller
from tests.harness.launcher import ROOT, ApiServer, ManagedProcess, RedisServer, WorkerProcess

MODEL = "symbols-64"
IN_FLIGHT = 256
WARM_UP = 200
WAIT_SECONDS = 20
POLL_SECONDS = 1


@dataclass(frozen=True, kw_only=True)
class Service:
    """Redis, API and worker of a checkout. Release 0.1 has no long polls: its callers ask every second."""

    store: RedisServer
    api: ApiServer
    worker: WorkerProcess
    long_polls: bool

    @property
    def parts(self) -> Mapping[str, ManagedProcess]:
        """The processes by name."""
        return {"redis": self.store, "api": self.api, "worker": self.worker}

    def commands(self) -> int:
        """Return the commands that Redis has run."""
        with redis.Redis.from_url(self.store.url) as client:
            return sum(each["calls"] for each in client.info("commandstats").values())


@contextmanager
def started(checkout: Path, folder: Path) -> Iterator[Service]:
    """Start the processes of a checkout, in `folder`."""
    release_0_1 = (checkout / "benchmarks" / "painter.py").exists()
    module = "benchmarks.painter" if release_0_1 else "benchmarks.random_worker"
    settings = {"MODELS": str(checkout / "models" / "weights"), "MODEL": MODEL, "COMPILE": "0", "QUEUE_BOUND": "100000"}
    log = folder / "log"
    with RedisServer(folder / "redis", durable=True) as store:
        settings |= {"CAPACITY": str(IN_FLIGHT), "REDIS_URL": store.url}
        with (
            ApiServer(settings, log=log, checkout=checkout) as api,
            WorkerProcess(settings, command=["-m", module], log=log, checkout=checkout) as worker,
        ):
            yield Service(store=store, api=api, worker=worker, long_polls=not release_0_1)


async def images(service: Service, jobs: Iterator[int]) -> int:
    """Submit the jobs that are left, one after the other; return how many polls they took."""
    caller, polls = Caller(service.api.port), 0
    for seed in jobs:
        job = await caller.submit(json.dumps({"seed": seed}).encode())
        while True:
            if not service.long_polls:
                await asyncio.sleep(POLL_SECONDS)
            polls += 1
            if (await caller.poll(f"{job}?wait={WAIT_SECONDS}" if service.long_polls else job))[
                "status"
            ] == "succeeded":
                break
        await caller.file(f"/jobs/{job}/images/0")
    caller.close()
    return polls


async def all_images(service: Service, jobs: int) -> int:
    """Run all jobs, IN_FLIGHT at a time; return how many polls they took."""
    left = iter(range(jobs))
    return sum(await asyncio.gather(*(images(service, left) for _ in range(IN_FLIGHT))))


def cpu_ms(process: ManagedProcess) -> float:
    """Return the CPU milliseconds of a process so far."""
    used = psutil.Process(process.pid).cpu_times()
    return 1000 * float(used.user + used.system)


def burst(service: Service, jobs: int) -> dict[str, float]:
    """Return what an image cost in a burst of jobs."""
    commands, before, begun = service.commands(), {n: cpu_ms(p) for n, p in service.parts.items()}, time.perf_counter()
    polls = asyncio.run(all_images(service, jobs))
    seconds = time.perf_counter() - begun
    spent = {f"{name}_cpu_ms": (cpu_ms(process) - before[name]) / jobs for name, process in service.parts.items()}
    return {
        "images_per_s": jobs / seconds,
        "polls": polls / jobs,
        **spent,
        "commands": (service.commands() - commands) / jobs,
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Cost of an image outside of the networks.")
    parser.add_argument("--jobs", type=int, default=600, help="of a burst")
    parser.add_argument("--bursts", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout")
    args = parser.parse_args()
    checkouts = {args.against.name: args.against.resolve()} if args.against else {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        services = {}
        for name, checkout in {**checkouts, "this checkout": ROOT}.items():
            own = Path(folder) / name.replace(" ", "-")
            own.mkdir()
            services[name] = stack.enter_context(started(checkout, own))
            asyncio.run(all_images(services[name], WARM_UP))
        rounds = [{name: burst(service, args.jobs) for name, service in services.items()} for _ in range(args.bursts)]
    for name in rounds[0]:
        found = {part: round(statistics.median(each[name][part] for each in rounds), 2) for part in rounds[0][name]}
        print(json.dumps({"code": name, "jobs": args.jobs, **found, "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
