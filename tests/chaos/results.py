"""Results under kills: `python -m tests.chaos.results --images 1000 --store s3`.

Redis with its file, two API processes, two workers that generate random values, and an S3 server or a folder run while jobs
of eight images are submitted. Every few seconds one of these processes is killed and started again. Each accepted job has to
succeed. When Redis has it no longer, its images must be those of its seed and its events end once. After the retention
nothing may be left, neither keys nor objects.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import httpx
import numpy as np
import redis
from PIL import Image

from benchmarks.random_worker import with_random_slice
from benchmarks.site import GEOMETRY, MODEL, save_toy, settings_of
from models.subscale import Progress
from service.contract.record import JobRecord
from service.contract.redis_keys import UNSTORED, Keys
from service.contract.stream import decode_events, replay
from service.results.object_store import path_of
from service.results.stored_job import StoredJob
from tests.chaos.deadlines import NotHeldError, until
from tests.chaos.stand import SHORT
from tests.harness.launcher import ApiServer, ManagedProcess, RedisServer, WorkerProcess
from tests.harness.object_stores import BUCKET, S3Server, credentials

IMAGES_PER_JOB = 8
CALLERS = 8
"""Threads; each submits a job, waits for its end, and reads it when Redis has it no longer."""

REDIS_SECONDS, RETENTION_SECONDS = 2, 120
DOWN_SECONDS = 1.0
RETRY_SECONDS = 0.2
END_SECONDS = 300
"""Time for a job to end, whatever is killed."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The running processes by name, the clients' end of Redis, and the folder of the objects."""

    processes: dict[str, ManagedProcess]
    apis: Sequence[ApiServer]
    store: redis.Redis
    objects: Path


@dataclass
class Tally:
    """Counts of a run."""

    jobs: int = 0
    images: int = 0
    retries: int = 0
    kills: dict[str, int] = field(default_factory=dict)


@contextmanager
def place(kind: str) -> Iterator[Place]:
    """All processes, in a temporary folder."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        save_toy(folder / "models" / MODEL)
        (folder / "redis").mkdir()
        server = stack.enter_context(RedisServer(folder / "redis", durable=True, log=folder / "redis.log"))
        settings = settings_of(server, folder / "models") | SHORT
        settings |= {"RESULTS_REDIS_SECONDS": str(REDIS_SECONDS), "RETENTION_SECONDS": str(RETENTION_SECONDS)}
        processes: dict[str, ManagedProcess] = {"redis": server}
        if kind == "s3":
            processes["s3"] = s3 = stack.enter_context(S3Server(folder / "s3", log=folder / "s3.log"))
            stack.enter_context(credentials(s3.port))
        objects = folder / "s3" / BUCKET if kind == "s3" else folder / "objects"
        settings["RESULTS"] = f"s3://{BUCKET}" if kind == "s3" else str(objects)
        apis = [stack.enter_context(ApiServer(settings, log=folder / "api.log")) for _ in range(2)]
        command = ["-m", "benchmarks.random_worker"]
        for number in range(2):
            worker = WorkerProcess(settings, command=command, log=folder / "worker.log")
            processes[f"worker {number}"] = stack.enter_context(worker)
        processes |= {f"api {number}": api for number, api in enumerate(apis)}
        store = redis.Redis(port=server.port)
        stack.callback(store.close)
        yield Place(processes=processes, apis=apis, store=store, objects=objects)


class Callers:
    """Callers that repeat a request, at the other API process, until it is answered."""

    def __init__(self, where: Place, tally: Tally) -> None:
        self._where, self._tally = where, tally
        self._apis = itertools.cycle(where.apis)
        self._http = httpx.Client(timeout=90, trust_env=False)

    def job(self, seed: int) -> None:
        """Submit a job, wait for its end, and check it when it is in the object store alone. Raises NotHeldError."""
        body = {"seed": seed, "num_images": IMAGES_PER_JOB}
        job = self._answer("POST", "/generate", json=body, headers={"Idempotency-Key": str(seed)}).json()["id"]
        self._until(lambda: self._answer("GET", f"/jobs/{job}?wait=20").json()["status"] == "succeeded", job)
        self._until(lambda: not self._exists(job), job)
        self._check(job, seed)
        self._tally.jobs += 1
        self._tally.images += IMAGES_PER_JOB

    def _check(self, job: str, seed: int) -> None:
        """Check all images in the object, and one of them and the events as the API sends them. Raises NotHeldError."""
        stored = StoredJob.from_bytes((self._where.objects / path_of(job)).read_bytes())
        images = replay(JobRecord.decode(stored.fields).request, decode_events(stored.entries, GEOMETRY)).progress
        wanted = [expected(seed + index).tobytes() for index in range(IMAGES_PER_JOB)]
        index = seed // IMAGES_PER_JOB % IMAGES_PER_JOB
        sent = self._answer("GET", f"/jobs/{job}/images/{index}?format=png").content
        found = [each.image().tobytes() for each in images if isinstance(each, Progress)]
        if [*found, np.asarray(Image.open(io.BytesIO(sent))).tobytes()] != [*wanted, wanted[index]]:
            raise NotHeldError(f"job {job}: images have other pixels")
        events = ""

        def ended() -> bool:  # a stream also ends, without a final event, when Redis or the object store fails
            nonlocal events
            events = self._answer("GET", f"/jobs/{job}/events").text
            return "event: succeeded" in events

        self._until(ended, job)
        slices = IMAGES_PER_JOB * len(GEOMETRY.steps)
        if (events.count("event: slice"), events.count("event: succeeded")) != (slices, 1):
            raise NotHeldError(f"job {job}: its events are {events}")

    def _answer(self, method: str, path: str, **options: object) -> httpx.Response:
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = self._http.request(method, next(self._apis).url + path, **options)  # type: ignore[arg-type]
                if answer.is_success and not answer.text.startswith("retry:"):
                    return answer
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR and not answer.is_success:
                    raise NotHeldError(f"{method} {path}: {answer.status_code} {answer.text}")
            except httpx.TransportError:
                pass
            self._tally.retries += 1
            time.sleep(RETRY_SECONDS)
        raise NotHeldError(f"{method} {path}: no answer within {END_SECONDS} s")

    def _exists(self, job: str) -> bool:
        try:
            return bool(self._where.store.exists(Keys(id=job, model=MODEL).record))
        except redis.RedisError:
            return True

    @staticmethod
    def _until(true: Callable[[], bool], job: str) -> None:
        deadline = time.monotonic() + END_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise NotHeldError(f"job {job} has not ended, or not left Redis, within {END_SECONDS} s")
            time.sleep(RETRY_SECONDS)


def expected(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the image that the worker generates for a seed."""
    progress = Progress(geometry=GEOMETRY)
    while progress.next:
        progress = with_random_slice(progress, seed)
    return progress.image()


def kill_in_turn(where: Place, tally: Tally, over: Event, every_seconds: float) -> None:
    """Kill one process after the other, each when the one before serves again, until `over` is set."""
    for name in itertools.cycle(where.processes):
        if over.wait(every_seconds):
            return
        where.processes[name].kill()
        tally.kills[name] = tally.kills.get(name, 0) + 1
        over.wait(DOWN_SECONDS)
        with suppress(RuntimeError):  # Redis may not get its port at once; the last start has to succeed
            where.processes[name].start()


def left(where: Place) -> tuple[list[str], list[str]]:
    """Return the keys of jobs in Redis, and the objects."""
    standing = (b"rq:", b"spn:workers:", b"spn:pace:", b"spn:owners:")
    found: Any = where.store.keys("*")
    keys = [key.decode() for key in found if not key.startswith(standing)]
    objects = (Path(folder, name) for folder, _, names in os.walk(where.objects) for name in names)
    return keys, [str(each) for each in objects]


def run(kind: str, *, images: int, every_seconds: float) -> Tally:
    """Return the counts of a run. Raises NotHeldError."""
    tally, over, began = Tally(), Event(), time.monotonic()
    with place(kind) as where:
        killer = Thread(target=kill_in_turn, args=(where, tally, over, every_seconds))
        killer.start()
        callers = Callers(where, tally)
        try:
            with ThreadPoolExecutor(CALLERS) as pool:
                for _ in pool.map(callers.job, range(0, images, IMAGES_PER_JOB)):
                    if tally.jobs % 50 == 0:
                        seconds = time.monotonic() - began
                        print(
                            f"{tally.images} images after {seconds:.0f} s, {sum(tally.kills.values())} kills",
                            flush=True,
                        )
        finally:
            over.set()
            killer.join()
        for process in where.processes.values():
            process.start()
        until(lambda: not where.store.zcard(UNSTORED), "all objects are as Redis has the jobs", seconds=END_SECONDS)
        until(lambda: not any(left(where)), "keys and objects are gone", seconds=RETENTION_SECONDS + 60)
    return tally


def main() -> None:
    """Run it and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--store", choices=("folder", "s3"), default="s3")
    parser.add_argument("--every", type=float, default=5, help="seconds between two kills")
    options = parser.parse_args()
    tally = run(options.store, images=options.images, every_seconds=options.every)
    print(json.dumps({"store": options.store, **vars(tally)}))


if __name__ == "__main__":
    main()
