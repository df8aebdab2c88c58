"""Cost of a job in Redis: `python -m benchmarks.redis_cost`.

Makes jobs and publishes their slices as the API and a worker do, without a model and without RQ, against a Redis of its
own. Prints the commands (those inside scripts too), bytes and CPU of Redis, and the CPU of this process, per image.
`--against FOLDER` runs the same in another checkout first, with that checkout's code.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import redis

from models.config import Geometry
from models.subscale import Progress
from service.contract import transitions as contract
from service.contract.record import Problem
from service.contract.request import JobRequest
from service.contract.stream import SliceEntry
from service.contract.transitions import Claim, Transitions, create
from tests.harness.launcher import RedisServer

GEOMETRY = Geometry(size=64, slice_size=16)
POISONED = Problem(type="urn:test", title="", detail="")


@contextmanager
def own_redis() -> Iterator[redis.Redis]:
    """Yield a client of a Redis that writes no file."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(Path(folder) / "redis") as server,
        redis.Redis(port=server.port) as client,
    ):
        yield client


def run_job(transitions: Transitions, client: redis.Redis, image: Progress, num_images: int) -> None:
    """Run one job from its submit to its end, with one append per job and round if the contract has that."""
    controls = ({"label": "A", "style": "icon"},) * num_images
    request = JobRequest(
        id=token_hex(12), model="m", seed=1, temperature=1.0, controls=controls, geometry=GEOMETRY, owner="studio"
    )
    transitions(create(request, bound=10**6))
    client.hgetall(request.keys.record)
    claim = Claim(keys=request.keys, token=token_hex(16))
    acquire = claim.acquire(lease_seconds=30, max_attempts=3, poisoned=POISONED, weights="w", numerics="n")
    if next_job := getattr(contract, "next_job", None):
        transitions(next_job("m"))
        transitions(acquire)
        transitions(next_job("m"))
    else:  # a contract whose tickets name jobs, and whose acquire replies no request
        transitions(acquire)
        client.hgetall(request.keys.record)
        client.xrange(request.keys.stream)
    for step in range(len(GEOMETRY.steps)):
        slices = [SliceEntry.of(image, step, image=index) for index in range(num_images)]
        try:
            calls = [claim.append(*slices)]
        except TypeError:  # a contract with one slice per call
            calls = [claim.append(each) for each in slices]
        transitions.together(calls)
    transitions(claim.finish())


def totals(client: redis.Redis) -> dict[str, float]:
    """Return the counters of Redis since its statistics were reset, and CPU milliseconds since the start."""
    commands, stats, cpu = client.info("commandstats"), client.info("stats"), client.info("cpu")
    return {
        "commands": sum(each["calls"] for each in commands.values()),
        "bytes_in": stats["total_net_input_bytes"],
        "bytes_out": stats["total_net_output_bytes"],
        "redis_cpu_ms": 1000 * (cpu["used_cpu_user"] + cpu["used_cpu_sys"]),
        "client_cpu_ms": 1000 * time.process_time(),
    }


def measured(jobs: int, num_images: int) -> dict[str, Any]:
    """Return the cost per image of `jobs` jobs."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image = Progress.of(pixels, GEOMETRY)
    with own_redis() as client:
        transitions = Transitions(client)
        run_job(transitions, client, image, num_images)
        client.config_resetstat()
        before = totals(client)
        for _ in range(jobs):
            run_job(transitions, client, image, num_images)
        after = totals(client)
    spent = {name: round((after[name] - before[name]) / jobs / num_images, 2) for name in after}
    return {"images_per_job": num_images, "jobs": jobs, **spent, "load": round(os.getloadavg()[0], 1)}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Commands, bytes and CPU per image in Redis.")
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--images", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--against", type=Path, help="another checkout, which is measured first")
    args = parser.parse_args()
    if args.against:
        words = ["--jobs", str(args.jobs), "--images", *map(str, args.images)]
        print(f"{args.against}:", flush=True)
        environment = {**os.environ, "PYTHONPATH": str(args.against.resolve())}
        subprocess.run([sys.executable, str(Path(__file__).resolve()), *words], env=environment, check=True)
        print("this checkout:", flush=True)
    for num_images in args.images:
        print(json.dumps(measured(args.jobs, num_images)), flush=True)


if __name__ == "__main__":
    main()
