"""Cost of a request in the API: `python -m benchmarks.api_cost`.

Runs two cells of one API process each, without workers, and prints the CPU milliseconds of the processes that answer.
The requests are a submit, a poll, an image of a finished job, and a poll that one cell sends on to the other.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex

import httpx
import psutil
import redis

from service.contract.redis_keys import Keys
from service.contract.transitions import Claim, Transitions
from service.local.processes import free_port
from tests.harness.drawing import acquire, an_entry
from tests.harness.launcher import ApiServer, RedisServer
from tests.harness.toy import save_toy_model

CELLS = ("00", "01")


@contextmanager
def two_apis(folder: Path) -> Iterator[dict[str, tuple[RedisServer, ApiServer]]]:
    """Run two cells of a toy model, by name."""
    models = folder / "models"
    save_toy_model(models, "toy", size=8)
    ports = {cell: free_port() for cell in CELLS}
    addresses = ",".join(f"{cell}=http://127.0.0.1:{port}" for cell, port in ports.items())
    with ExitStack() as stack:
        found = {}
        for cell, port in ports.items():
            store = stack.enter_context(RedisServer(folder / cell))
            settings = {"REDIS_URL": store.url, "MODELS": str(models), "MODEL": "toy", "QUEUE_BOUND": "1000000"}
            own = {**settings, "PORT": str(port), "CELL": cell, "CELLS": addresses}
            found[cell] = (store, stack.enter_context(ApiServer(own, log=folder / f"{cell}.log")))
        yield found


def finished(http: httpx.Client, store: RedisServer) -> str:
    """Return the id of a new job that has ended."""
    job = str(http.post("/generate", json={}).json()["id"])
    with redis.Redis.from_url(store.url) as client:
        transitions, claim = Transitions(client), Claim(keys=Keys(id=job, model="toy"), token=token_hex(6))
        steps = http.get(f"/jobs/{job}").json()["images"][0]["slices_total"]
        for call in (acquire(claim), *(claim.append(an_entry(step)) for step in range(steps)), claim.finish()):
            transitions(call)
    return job


def cpu_ms(requests: int, request: Callable[[], object], *processes: ApiServer) -> float:
    """Return the CPU milliseconds of `processes` per request."""
    watched = [psutil.Process(each.pid) for each in processes]
    for _ in range(requests // 10):
        request()
    before = sum(sum(each.cpu_times()[:2]) for each in watched)
    for _ in range(requests):
        request()
    after = sum(sum(each.cpu_times()[:2]) for each in watched)
    return round(1000 * (after - before) / requests, 2)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="CPU milliseconds of the API per request.")
    parser.add_argument("--requests", type=int, default=500)
    count = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as folder, two_apis(Path(folder)) as cells:
        (store, own), (_, other) = cells.values()
        with httpx.Client(base_url=own.url, timeout=30) as http, httpx.Client(base_url=other.url, timeout=30) as there:
            job = finished(http, store)
            measured = {
                "submit": cpu_ms(count, lambda: http.post("/generate", json={}), own),
                "poll": cpu_ms(count, lambda: http.get(f"/jobs/{job}"), own),
                "image": cpu_ms(count, lambda: http.get(f"/jobs/{job}/images/0"), own),
                "forwarded_poll": cpu_ms(count, lambda: there.get(f"/jobs/{job}"), own, other),
            }
    print(json.dumps({"requests": count, "cpu_ms": measured, "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
