"""What continuous batching brings: `python -m benchmarks.batching`.

Redis, one API process and one worker with a shipped model are started; this process is the callers, over HTTP. Sides take
turns, medians count. First images a second: one job at a time against many in flight, each followed by the next until so many
are done. The time in which the many begin and end is in it. Then the time to the first slice of one job that comes at a random
moment while a full batch of others runs. Its unit is the time between two slices of such a batch without a new job.
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
    """Submits a job of one picture and sees it to its end; when each slice was written, in seconds since the epoch."""
    return await watched(port, await submitted(port))


async def watched(port: int, job: str) -> list[float]:
    """As `slices`, of a job that exists. Raises RuntimeError if it does not succeed."""
    told = [each async for each in events(port, job)]
    if told[-1].kind != "succeeded":
        raise RuntimeError(f"{job} {told[-1].kind}")
    return [int(each.id.partition("-")[0]) / 1000 for each in told if each.kind == "slice"]


async def pictures_per_second(port: int, *, jobs: int, in_flight: int) -> float:
    """Of `jobs` jobs, with never more than `in_flight` of them at a time."""
    left = iter(range(jobs))

    async def caller() -> None:
        for _ in left:
            await slices(port)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return jobs / (time.perf_counter() - begun)


async def full_batch(port: int) -> tuple[list[asyncio.Task[list[float]]], float]:
    """Jobs that fill a batch, on their way since their slowest has its first slice."""
    jobs = await asyncio.gather(*(submitted(port) for _ in range(OTHERS)))
    tasks = [asyncio.create_task(watched(port, job)) for job in jobs]
    begun = asyncio.create_task(last_first_slice(port, jobs))
    return tasks, await begun


async def last_first_slice(port: int, jobs: Sequence[str]) -> float:
    """Returns when every one of `jobs` has a slice; that moment."""

    async def first(job: str) -> None:
        async for told in events(port, job):
            if told.kind == "slice":
                return

    await asyncio.gather(*(first(job) for job in jobs))
    return time.time()


async def slice_seconds(port: int) -> float:
    """Between two slices of a full batch: the median."""
    tasks, since = await full_batch(port)
    told = await asyncio.gather(*tasks)
    return statistics.median(b - a for times in told for a, b in pairwise(t for t in times if t >= since))


async def first_slice_seconds(port: int, moment: float) -> float:
    """From just before its POST, so many seconds after the others were on their way, to the newcomer's first slice."""
    tasks, _ = await full_batch(port)
    await asyncio.sleep(moment)
    asked = time.time()
    own = await slices(port)
    if all(task.done() and max(task.result()) < own[0] for task in tasks):
        raise RuntimeError("the others ended before the newcomer's first slice")
    await asyncio.gather(*tasks)
    return own[0] - asked


async def throughput(here: BenchmarkSite, args: argparse.Namespace) -> dict[str, Any]:
    """The first part."""
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
    """The second part."""
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
    """To milliseconds, or thousandths of a picture."""
    return [round(value, 3) for value in values]


async def both(here: BenchmarkSite, args: argparse.Namespace) -> dict[str, Any]:
    """All figures, after a picture that counts for nothing."""
    await slices(here.port)
    found = {"model": args.model, "cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2)}
    parts = {"throughput": await throughput(here, args), "newcomers": await newcomers(here, args)}
    return found | parts | {"load_after": round(os.getloadavg()[0], 2)}


def main() -> None:
    """The command line."""
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
