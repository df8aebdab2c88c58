"""Two whole cells on this machine behind the proxy, one of which dies in the middle of its jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from service.local.processes import free_port
from tests.harness.launcher import ApiServer, RedisServer, WorkerProcess, eager
from tests.harness.nginx import NGINX, nginx

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")

MODEL = "slow"
WITHIN_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class CellProcesses:
    """The processes of a cell: its Redis, an API process and a worker."""

    redis: RedisServer
    api: ApiServer
    worker: WorkerProcess

    def fail(self) -> None:
        """Kill Redis and the API. The worker cannot do anything until Redis is back."""
        self.api.kill()
        self.redis.kill()

    def launch(self) -> None:
        """Start what does not run, and do not wait for API and worker."""
        self.redis.start()
        self.api.launch()
        self.worker.launch()

    def ready(self) -> bool:
        """Return whether all of it serves."""
        return self.api.ready() and self.worker.ready()


@contextmanager
def cells_of(folder: Path, models: Path) -> Iterator[dict[str, CellProcesses]]:
    """Run two cells with durable Redis servers, by name."""
    ports = {name: free_port() for name in ("00", "01")}
    addresses = ",".join(f"{name}=http://127.0.0.1:{port}" for name, port in ports.items())
    with ExitStack() as stack:
        cells = {}
        for name, port in ports.items():
            redis = RedisServer(folder / name, durable=True)
            settings = eager(redis.url, models, MODEL, CAPACITY="4", LEASE_SECONDS="2", HEARTBEAT_SECONDS="0.4")
            api = ApiServer(
                {**settings, "PORT": str(port), "CELL": name, "CELLS": addresses}, log=folder / f"{name}-api.log"
            )
            cells[name] = CellProcesses(redis=redis, api=api, worker=WorkerProcess(settings))
            for process in (redis, api, cells[name].worker):
                stack.callback(process.kill)
            cells[name].launch()
        until(lambda: all(cell.ready() for cell in cells.values()))
        yield cells


def until(true: Callable[[], bool]) -> None:
    """Returns once it is."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_cells_share_the_work_and_a_dead_one_costs_its_own_jobs_alone(tmp_path: Path, models: Path) -> None:
    """Jobs, a stream and the list through the proxy. A cell that comes back goes on with all that it had accepted."""
    with cells_of(tmp_path, models) as cells:
        urls = {f"_{name}": cell.api.url for name, cell in cells.items()}
        with nginx(tmp_path, *urls.values(), **urls) as at, httpx.Client(base_url=at, timeout=30) as http:
            first = [submit(http) for _ in range(2)]
            assert {job[:2] for job in first} == set(cells)
            assert streamed(http, first[0]) == "succeeded"
            until(lambda: all(status(http, job) == "succeeded" for job in first))
            assert [job["id"] for job in http.get("/jobs").json()["jobs"]] == first[::-1]

            second = [submit(http) for _ in range(4)]
            cells["01"].fail()
            mine = [job for job in second if job[:2] == "00"]
            lost = [job for job in second if job[:2] == "01"]
            until(lambda: all(status(http, job) == "succeeded" for job in mine))
            assert {http.get(f"/jobs/{job}").json()["type"] for job in lost} == {"urn:spn:unavailable"}
            assert http.get("/jobs").json()["missing_cells"] == ["01"]
            assert {submit(http)[:2] for _ in range(3)} == {"00"}

            cells["01"].launch()
            until(lambda: all(status(http, job) == "succeeded" for job in lost))
            page = http.get("/jobs", params={"limit": 100}).json()
            assert page["missing_cells"] == []
            assert {*first, *second} < {job["id"] for job in page["jobs"]}


def submit(http: httpx.Client) -> str:
    """Return the id of a new job."""
    answer = http.post("/generate", json={})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def status(http: httpx.Client, job: str) -> str:
    """Return the status of a job; that of a problem is its number."""
    return str(http.get(f"/jobs/{job}").json()["status"])


def streamed(http: httpx.Client, job: str) -> str:
    """Return the last event of a job."""
    with connect_sse(http, "GET", f"/jobs/{job}/events") as stream:
        return [event.event for event in stream.iter_sse()][-1]
