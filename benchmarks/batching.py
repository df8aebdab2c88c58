"""The effect of continuous batching: `python -m benchmarks.batching`.

Redis, one API process and one worker with a shipped model are started; this process is the client, over HTTP. Sides take
turns, and medians count.

- Throughput: images per second with one job at a time, and with many jobs in flight, from the first submit to the last end.
- New jobs: a job comes at a random moment while a full batch of others is drawn. The figure is the time to its first slice,
  in slice times: the time between two slices of a full batch without a new job.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.caller import events, submitted
from benchmarks.site import BenchmarkSite, site

JSON = Path("docs/benchmarks/batching.json")
OTHERS = 16
"""The capacity on a CPU: a full batch."""


async def slices(port: int) -> list[float]:
    """Submit a job of one image and watch it to its end; return when each slice was written, in seconds since the epoch."""
    return await watched(port, await submitted(port))


async def watched(port: int, job: str) -> list[float]:
    """Watch an existing job like `slices`. Raises RuntimeError if it does not succeed."""
    seen = [each async for each in events(port, job)]
    if seen[-1].kind != "succeeded":
        raise RuntimeError(f"{job} {seen[-1].kind}")
    return [int(each.id.partition("-")[0]) / 1000 for each in seen if each.kind == "slice"]


async def pictures_per_second(port: int, *, jobs: int, in_flight: int) -> float:
    """Return the images per second of `jobs` jobs, with at most `in_flight` of them at a time."""
    left = iter(range(jobs))

    async def caller() -> None:
        for _ in left:
            await slices(port)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return jobs / (time.perf_counter() - begun)


async def full_batch(port: int) -> tuple[list[asyncio.Task[list[float]]], float]:
    """Submit jobs that fill a batch; return them and the moment at which all of them have a slice."""
    jobs = await asyncio.gather(*(submitted(port) for _ in range(OTHERS)))
    tasks = [asyncio.create_task(watched(port, job)) for job in jobs]
    begun = asyncio.create_task(last_first_slice(port, jobs))
    return tasks, await begun


async def last_first_slice(port: int, jobs: Sequence[str]) -> float:
    """Wait until every one of `jobs` has a slice; return that moment."""

    async def first(job: str) -> None:
        async for event in events(port, job):
            if event.kind == "slice":
                return

    await asyncio.gather(*(first(job) for job in jobs))
    return time.time()


async def slice_seconds(port: int) -> float:
    """Return the median time between two slices of a full batch."""
    tasks, since = await full_batch(port)
    ends = await asyncio.gather(*tasks)
    return statistics.median(b - a for times in ends for a, b in pairwise(t for t in times if t >= since))


async def first_slice_seconds(port: int, moment: float) -> float:
    """Return the time from the POST of a new job, `moment` seconds after a full batch began, to its first slice."""
    tasks, _ = await full_batch(port)
    await asyncio.sleep(moment)
    submitted_at = time.time()
    own = await slices(port)
    if all(task.done() and max(task.result()) < own[0] for task in tasks):
        raise RuntimeError("the others ended before the newcomer's first slice")
    await asyncio.gather(*tasks)
    return own[0] - submitted_at


async def throughput(here: BenchmarkSite, args: argparse.Namespace) -> dict[str, Any]:
    """Measure the throughput."""
    sides: dict[int, list[float]] = {1: [], args.in_flight: []}
    for _ in tqdm(range(args.repeats), desc="throughput"):
        for in_flight, found in sides.items():
            jobs = args.jobs * (1 if in_flight == 1 else 4)
            found.append(await pictures_per_second(here.port, jobs=jobs, in_flight=in_flight))
    one, many = (statistics.median(found) for found in sides.values())
    return {
        "in_flight": args.in_flight,
        "pictures_per_second": {str(number): rounded(found) for number, found in sides.items()},
        "median": {"one_at_a_time": round(one, 2), "in_flight": round(many, 2)},
        "times": round(many / one, 2),
    }


async def newcomers(here: BenchmarkSite, args: argparse.Namespace) -> dict[str, Any]:
    """Measure the first slices of new jobs."""
    dice = random.Random(0)  # noqa: S311 - moments
    full, firsts = list[float](), list[float]()
    for _ in tqdm(range(args.newcomers), desc="newcomers"):
        full.append(await slice_seconds(here.port))
        firsts.append(await first_slice_seconds(here.port, dice.uniform(0, 3 * full[0])))
    slice_time = statistics.median(full)
    return {
        "others": OTHERS,
        "slice_seconds_of_full_batch": {"median": round(slice_time, 3), "all": rounded(full)},
        "first_slice_seconds": {"median": round(statistics.median(firsts), 3), "all": rounded(firsts)},
        "slice_times": {
            "median": round(statistics.median(firsts) / slice_time, 2),
            "max": round(max(firsts) / slice_time, 2),
        },
        "within_two": sum(first <= 2 * slice_time for first in firsts),
        "of": len(firsts),
    }


def rounded(values: Sequence[float]) -> list[float]:
    """Round to thousandths."""
    return [round(value, 3) for value in values]


async def both(here: BenchmarkSite, args: argparse.Namespace) -> dict[str, Any]:
    """Measure all figures, after one unmeasured image."""
    await slices(here.port)
    found = {"model": args.model, "cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2)}
    parts = {"throughput": await throughput(here, args), "newcomers": await newcomers(here, args)}
    return found | parts | {"load_after": round(os.getloadavg()[0], 2)}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Continuous batching, measured.")
    parser.add_argument("--model", default="symbols-64")
    parser.add_argument("--repeats", type=int, default=7, help="of each side of the first part")
    parser.add_argument("--jobs", type=int, default=16, help="one after the other; four times as many in flight")
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--newcomers", type=int, default=20)
    parser.add_argument("--json", type=Path, default=JSON)
    args = parser.parse_args()
    with site(retention_seconds=3600, shipped=args.model) as here:
        found = asyncio.run(both(here, args))
    print(json.dumps(found, indent=1))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
