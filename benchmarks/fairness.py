"""Fair shares on real processes: `python -m benchmarks.fairness`.

Owner A floods the queue with jobs of 16 images, owner B sends single jobs, spread over the time. Redis, one API process and
a worker with a toy model are started for it. Each round of the worker takes a fixed time and draws random values, as a device
would whose rounds take equally long whatever they hold. Printed are the seconds of B's jobs alone and during the flood, and
A's images per second and per round without and with B. Rounds do not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import redis

from benchmarks.fixed_rounds_worker import ROUND_SECONDS, ROUNDS
from benchmarks.site import BenchmarkSite, site
from service.api_keys import sha256_of
from service.contract.redis_keys import owned_key

FLOOD, SINGLE = "flood", "single"
IMAGES = 16
CAPACITY = 16


WAIT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Seconds, and rounds of the worker."""

    seconds: float
    rounds: int


class Stopwatch:
    """A stopwatch that counts rounds too."""

    def __init__(self, store: redis.Redis) -> None:
        self._store, self._began, self._first = store, time.monotonic(), rounds(store)

    def read(self) -> Spent:
        """Return what was spent since its start."""
        return Spent(seconds=time.monotonic() - self._began, rounds=rounds(self._store) - self._first)


def rounds(store: redis.Redis) -> int:
    """Return the rounds of the worker so far."""
    return int(store.get(ROUNDS) or 0)


def submit(client: httpx.Client, key: str, images: int, *, wait: int = 0) -> None:
    """Submit a job of an owner and wait for its end."""
    headers = {"Authorization": f"Bearer {key}", **({"Prefer": f"wait={wait}"} if wait else {})}
    answer = client.post("/generate", json={"num_images": images}, headers=headers, timeout=wait + 60)
    answer.raise_for_status()
    if wait and answer.json()["status"] != "succeeded":
        raise TimeoutError(f"a job of one image has not ended within {wait} s")


def singles(place: BenchmarkSite, client: httpx.Client, jobs: int, *, every_seconds: float = 0) -> list[Spent]:
    """Return what `jobs` single jobs took from submit to end, one each `every_seconds`."""
    spent, began = [], time.monotonic()
    for number in range(jobs):
        time.sleep(max(0.0, began + number * every_seconds - time.monotonic()))
        watch = Stopwatch(place.store)
        submit(client, SINGLE, 1, wait=WAIT_SECONDS)
        spent.append(watch.read())
    return spent


def flood_left(place: BenchmarkSite) -> int:
    """Return how many jobs of the flood have not ended."""
    return int(place.store.zcard(owned_key(FLOOD, "active")))


def window(
    place: BenchmarkSite, client: httpx.Client, *, seconds: float, jobs: int
) -> tuple[dict[str, float], list[Spent]]:
    """Return A's images per second and round in `seconds`, and what B's `jobs` single jobs took meanwhile."""
    before, watch = flood_left(place), Stopwatch(place.store)
    found = singles(place, client, jobs, every_seconds=seconds / max(1, jobs))
    time.sleep(max(0.0, seconds - watch.read().seconds))
    spent, images = watch.read(), IMAGES * (before - flood_left(place))
    return {"seconds": images / spent.seconds, "rounds": images / spent.rounds}, found


def measured(flood: int, seconds: float, jobs: int, round_seconds: float) -> dict[str, object]:
    """Return the figures."""
    os.environ[ROUND_SECONDS] = str(round_seconds)
    keys = ",".join(f"{name}:{sha256_of(name)}" for name in (FLOOD, SINGLE))
    options = {"KEYS": keys, "RATE_PER_MINUTE": "0", "CONCURRENCY": "0", "CAPACITY": str(CAPACITY)}
    with (
        site(retention_seconds=600, worker_module="benchmarks.fixed_rounds_worker", options=options) as place,
        httpx.Client(base_url=f"http://127.0.0.1:{place.port}", trust_env=False) as client,
    ):
        submit(client, SINGLE, 1, wait=WAIT_SECONDS)
        alone = singles(place, client, jobs)
        for _ in range(flood):
            submit(client, FLOOD, IMAGES)
        without, _ = window(place, client, seconds=seconds, jobs=0)
        together, during = window(place, client, seconds=seconds, jobs=jobs)
        left = flood_left(place)
    return {
        "round_seconds": round_seconds,
        "single": {"alone": figures(alone), "during_flood": figures(during)},
        "flood_images_per": {
            unit: {"without": without[unit], "with": together[unit]} for unit in ("seconds", "rounds")
        },
        "flood_jobs": {"submitted": flood, "left": left},
        "load": round(os.getloadavg()[0], 1),
    }


def figures(spent: Sequence[Spent]) -> dict[str, float]:
    """Return the medians and the largest."""
    seconds, counts = [each.seconds for each in spent], [each.rounds for each in spent]
    return {
        "median_seconds": round(statistics.median(seconds), 2),
        "max_seconds": round(max(seconds), 2),
        "median_rounds": statistics.median(counts),
        "max_rounds": max(counts),
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="One owner floods the queue, another sends single jobs.")
    parser.add_argument("--flood", type=int, default=1000, help="jobs of 16 images of owner A")
    parser.add_argument("--seconds", type=float, default=150, help="of each window: without and with owner B")
    parser.add_argument("--jobs", type=int, default=20, help="single jobs of owner B in its window")
    parser.add_argument("--round-seconds", type=float, default=0.1, help="of each round of the worker")
    args = parser.parse_args()
    print(json.dumps(measured(args.flood, args.seconds, args.jobs, args.round_seconds), indent=2))


if __name__ == "__main__":
    main()
