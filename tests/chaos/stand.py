"""One stand: Redis with its append-only file, one API process and a few workers, all of which may be killed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Self

import httpx
import redis

from benchmarks.site import MODEL, settings_of
from service.contract.redis_keys import Keys, owned_key, workers_key
from service.contract.registrations import live_workers
from tests.chaos.deadlines import NotHeldError, until
from tests.chaos.journal import JOURNAL, Line, lines
from tests.chaos.rehearsal import Cue
from tests.harness.launcher import ApiServer, ManagedProcess, RedisServer, WorkerProcess

SHORT = {"LEASE_SECONDS": "2", "HEARTBEAT_SECONDS": "0.4", "REAPER_SECONDS": "0.2"}
"""Quick settings. The shipped ones are those of no setting at all: leases of 8 s."""

RETENTION_SECONDS = 3600
READY_SECONDS = 120
RESTART_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a stand is made of: settings without their prefix, options of redis-server beyond those of `make serve`."""

    settings: Mapping[str, str] = field(default_factory=lambda: SHORT)
    slice_seconds: float = 0.15
    workers: int = 2
    store_options: tuple[str, ...] = ()
    disk_mib: int = 0
    """Size of a tmpfs for the files of Redis; 0: none. Only root can mount it."""


class Stand:
    """Starts all of it in `folder`, which may hold `data` for Redis, and ends all of it on leaving."""

    def __init__(self, folder: Path, models: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "models").symlink_to(models)
        self.server = RedisServer(folder / "data", *plan.store_options, durable=True, log=folder / "redis.log")
        own = {"RETENTION_SECONDS": str(RETENTION_SECONDS), "CAPACITY": "8", **plan.settings}
        settings = settings_of(self.server, folder / "models") | own
        self.api = ApiServer(settings, log=folder / "api.log")
        rehearsal = ["-m", "tests.chaos.rehearsal", str(folder), str(plan.slice_seconds)]
        self.workers = [
            WorkerProcess(settings, command=rehearsal, log=folder / f"worker-{number}.log")
            for number in range(plan.workers)
        ]
        self.store = redis.Redis(port=self.server.port, socket_timeout=5)
        self.http = httpx.Client(base_url=self.url, timeout=90)

    def __enter__(self) -> Self:
        if self.plan.disk_mib:
            mount: list[str | Path] = [
                "mount",
                "-t",
                "tmpfs",
                "-o",
                f"size={self.plan.disk_mib}m",
                "none",
                self.folder / "data",
            ]
            subprocess.run(mount, check=True)
        try:
            self.ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all of it."""
        self.http.close()
        self.store.close()
        for process in (*self.workers, self.api, self.server):
            process.kill()
        if self.plan.disk_mib:
            subprocess.run(["umount", self.folder / "data"], check=True)  # noqa: S607

    @property
    def url(self) -> str:
        """Where the API listens."""
        return self.api.url

    def ready(self) -> None:
        """Start whatever is down, and a new journal; returns once as many workers are announced as there are."""
        (self.folder / JOURNAL).write_text("")
        self.server.start()
        for process in (self.api, *self.workers):
            process.launch()
        until(self.api.ready, "the API answers", seconds=READY_SECONDS)
        until(self._all_announced, "all workers are announced", seconds=READY_SECONDS)

    def start_api(self) -> None:
        """Returns once it answers."""
        self.api.start()

    def start_store(self) -> float:
        """Start Redis, again if it does not stay up, until it answers; the time at which it did."""

        def up() -> bool:
            self.server.launch()
            return self.server.ready()

        until(up, "Redis answers", seconds=READY_SECONDS)
        return time.time()

    def cue(self, cue: Cue) -> None:
        """Arm a fault."""
        for old in self.folder.glob(f"{cue}-*"):
            old.unlink()
        (self.folder / cue).touch()

    def struck(self, cue: Cue) -> WorkerProcess:
        """The worker that a fault strikes, once it does. Raises NotHeldError."""
        until(lambda: not (self.folder / cue).exists(), f"a worker gets to {cue}", seconds=READY_SECONDS)
        (path,) = self.folder.glob(f"{cue}-*")
        return next(worker for worker in self.workers if path.name == f"{cue}-{worker.pid}")

    def journal(self, *, since: float = 0) -> list[Line]:
        """The transitions of all workers, from some time on."""
        return lines(self.folder, since=since)

    def held(self, jobs: Sequence[str]) -> dict[int, list[str]]:
        """Which of `jobs` each live worker holds, by process id."""
        owner = {line.token: line.pid for line in self.journal() if line.transition == "acquire"}
        found: dict[int, list[str]] = {worker.pid: [] for worker in self.workers if worker.alive}
        for job in jobs:
            if (pid := owner.get(self.token(job))) in found:
                found[pid].append(job)
        return found

    def token(self, job: str) -> str:
        """Return the token of a job's lease, "" for none."""
        return (self.store.hget(Keys(id=job, model=MODEL).record, "token") or b"").decode()  # type: ignore[union-attr]

    def known(self) -> int:
        """How many jobs were ever recorded."""
        return int(self.store.zcard(owned_key("", "jobs")))

    def busiest(self, jobs: Sequence[str]) -> WorkerProcess:
        """The worker that holds most of `jobs`, as soon as one holds any. Raises NotHeldError."""
        found: dict[int, list[str]] = {}

        def some() -> bool:
            found.update(self.held(jobs))
            return any(found.values())

        until(some, "a worker holds a job", seconds=READY_SECONDS)
        pid = max(found, key=lambda each: len(found[each]))
        return next(worker for worker in self.workers if worker.pid == pid)

    @contextmanager
    def restarting(self, *processes: ManagedProcess) -> Iterator[None]:
        """Those of `processes` that end are started again while this is open, as a supervisor does."""
        over = Event()

        def restart() -> None:
            while not over.wait(RESTART_SECONDS):
                for process in processes:
                    process.launch()

        thread = Thread(target=restart)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def check_files(self) -> None:
        """Redis' own check of its append-only file, which must be still. Raises NotHeldError."""
        (manifest,) = (self.folder / "data" / "appendonlydir").glob("*.manifest")
        done = subprocess.run(["redis-check-aof", manifest], capture_output=True, text=True, check=False)  # noqa: S607
        if done.returncode:
            raise NotHeldError(f"the append-only file is damaged: {done.stdout.splitlines()[-1]}")

    def _all_announced(self) -> bool:
        with suppress(redis.RedisError):
            registered = self.store.zrange(workers_key(MODEL), 0, -1, withscores=True)
            return len(live_workers(registered, self.store.time())) == len(self.workers)
        return False
