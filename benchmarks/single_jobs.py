"""Cost of an image outside of the networks: `python -m benchmarks.single_jobs`.

Jobs of one image over HTTP, 256 in flight, with one API process and a worker whose networks cost nothing. A caller submits,
waits by long polls, and loads the image. Printed as JSON: images per second, polls per image, the CPU milliseconds of Redis,
API and worker per image, and the commands of Redis per image, those inside scripts too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import redis

from benchmarks.caller import Caller
from models.cards import WEIGHTS
from tests.harness.launcher import ApiServer, ManagedProcess, RedisServer, WorkerProcess

MODEL = "symbols-64"
IN_FLIGHT = 256
WARM_UP = 200
WAIT_SECONDS = 20


async def images(port: int, jobs: Iterator[int]) -> int:
    """Submit the jobs that are left, one after the other; return how many polls they took."""
    caller, polls = Caller(port), 0
    for seed in jobs:
        job = await caller.submit(json.dumps({"seed": seed}).encode())
        while (await caller.poll(f"{job}?wait={WAIT_SECONDS}"))["status"] != "succeeded":
            polls += 1
        await caller.file(f"/jobs/{job}/images/0")
        polls += 1
    caller.close()
    return polls


async def all_images(port: int, jobs: int) -> int:
    """Run all jobs, IN_FLIGHT at a time; return how many polls they took."""
    left = iter(range(jobs))
    return sum(await asyncio.gather(*(images(port, left) for _ in range(IN_FLIGHT))))


def cpu_ms(process: ManagedProcess) -> float:
    """Return the CPU milliseconds of a process so far."""
    used = psutil.Process(process.pid).cpu_times()
    return 1000 * float(used.user + used.system)


def commands(store: RedisServer) -> int:
    """Return the commands that Redis has run."""
    with redis.Redis.from_url(store.url) as client:
        return sum(each["calls"] for each in client.info("commandstats").values())


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Cost of an image outside of the networks.")
    parser.add_argument("--jobs", type=int, default=600)
    jobs = parser.parse_args().jobs
    settings = {"MODELS": str(WEIGHTS), "MODEL": MODEL, "COMPILE": "0", "QUEUE_BOUND": "100000"}
    settings |= {"CAPACITY": str(IN_FLIGHT)}
    with tempfile.TemporaryDirectory() as name, RedisServer(Path(name) / "redis", durable=True) as store:
        settings |= {"REDIS_URL": store.url}
        log = Path(name) / "log"
        with (
            ApiServer(settings, log=log) as api,
            WorkerProcess(settings, command=["-m", "benchmarks.random_worker"], log=log) as worker,
        ):
            parts = {"redis": store, "api": api, "worker": worker}
            asyncio.run(all_images(api.port, WARM_UP))
            commands_before = commands(store)
            before, begun = {part: cpu_ms(process) for part, process in parts.items()}, time.perf_counter()
            polls = asyncio.run(all_images(api.port, jobs))
            seconds = time.perf_counter() - begun
            spent = {part: round((cpu_ms(process) - before[part]) / jobs, 2) for part, process in parts.items()}
            sent = round((commands(store) - commands_before) / jobs, 1)
    found = {"jobs": jobs, "images_per_s": round(jobs / seconds, 1), "polls_per_image": round(polls / jobs, 2)}
    costs = {"cpu_ms_per_image": spent, "commands_per_image": sent}
    print(json.dumps({**found, **costs, "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
