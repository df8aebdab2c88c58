"""The containers as they run: `DOCKER_TESTS=1 pytest tests/docker/test_compose_stack.py`.

Some minutes, with a Docker engine.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.local.processes import free_port

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 30
"""The worker's stop_grace_period."""

pytestmark = pytest.mark.skipif(
    os.environ.get("DOCKER_TESTS") != "1", reason="builds and runs the images for minutes: asked for by DOCKER_TESTS=1"
)


class Stack:
    """The project of docker-compose.yml under another name, on a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def compose(self, *words: str, status: int = 0) -> str:
        """What a compose command prints, which must exit with `status`."""
        command = ["docker", "compose", "-p", "subscale-test", *words]
        environment = {**os.environ, "PORT": str(self.port)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr[-4000:]
        return done.stdout

    def containers(self) -> dict[str, dict[str, Any]]:
        """`docker inspect` of each, by service."""
        command = ["docker", "inspect", *self.compose("ps", "--all", "--quiet").split()]
        told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in told}

    def submit(self, **asked: object) -> str:
        """A job's path."""
        return str(self.http.post("/generate", json=asked).raise_for_status().headers["Location"])

    def job(self, path: str) -> dict[str, Any]:
        """As it stands."""
        body: dict[str, Any] = self.http.get(path).raise_for_status().json()
        return body

    def ended(self, path: str) -> dict[str, Any]:
        """Once it has."""
        until(lambda: self.job(path)["finished_at"] is not None)
        return self.job(path)

    def pixels(self, job: dict[str, Any]) -> list[np.ndarray[Any, Any]]:
        """Of all its pictures."""
        files = (self.http.get(image["url"]).raise_for_status().content for image in job["images"])
        return [np.asarray(Image.open(io.BytesIO(file))) for file in files]


def until(true: Callable[[], bool], seconds: float = 240) -> None:
    """Returns once it is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    """All containers, healthy; gone afterwards, with their volumes."""
    stack = Stack()
    try:
        stack.compose("up", "--build", "--wait")
        yield stack
    finally:
        stack.http.close()
        stack.compose("down", "--volumes", "--timeout", "1")


@pytest.fixture
def stack(running: Stack) -> Stack:
    """All of them again, whatever a test before has stopped."""
    running.compose("up", "--wait")
    return running


def test_containers_have_no_rights_that_they_do_not_need(stack: Stack) -> None:
    """Not root, nothing to write on but what is mounted, no capability, none to be gained, a bound on memory."""
    containers = stack.containers()
    assert set(containers) == {"api", "worker", "redis"}
    for service, container in containers.items():
        host = container["HostConfig"]
        assert stack.compose("exec", "-T", service, "id", "-u").strip() not in {"", "0"}
        stack.compose("exec", "-T", service, "touch", "/here", status=1)
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["Memory"] > 0
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert container["State"]["Health"]["Status"] == "healthy"


def test_only_the_api_can_be_reached_and_only_from_this_machine(stack: Stack) -> None:
    """Redis and the workers publish nothing; a worker has no way out."""
    published = {service: each["HostConfig"]["PortBindings"] for service, each in stack.containers().items()}
    assert published.pop("api") == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]}
    assert not any(published.values())
    outside = "import socket; socket.create_connection(('1.1.1.1', 53), timeout=2)"
    stack.compose("exec", "-T", "worker", "python", "-c", outside, status=1)


def test_the_api_image_holds_neither_torch_nor_weights(stack: Stack) -> None:
    """Cards and sheets alone."""
    stack.compose("exec", "-T", "api", "python", "-c", "import torch", status=1)
    found = stack.compose("exec", "-T", "api", "find", "/app", "/usr/local/lib", "-name", "*.safetensors").split()
    assert found == []


def test_the_doctor_finds_nothing_wrong_in_the_worker(stack: Stack) -> None:
    """The shipped settings are sound."""
    assert "wrong" not in stack.compose("exec", "-T", "worker", "python", "-m", "worker.doctor")


def test_a_job_through_the_published_port_ends_in_a_picture(stack: Stack) -> None:
    """Of the shipped model, by its name."""
    job = stack.ended(stack.submit(model="symbols-64", label="A", seed=7))
    assert job["status"] == "succeeded"
    assert [picture.shape for picture in stack.pixels(job)] == [(64, 64, 3)]


def test_a_job_outlives_its_killed_worker(stack: Stack) -> None:
    """`kill -s KILL worker` in the middle and `up` again: it ends, with the pixels of a calm run."""
    asked = {"label": "B", "seed": 3, "num_images": 4}
    path = stack.submit(**asked)
    until(lambda: stack.job(path)["progress"]["slices_done"] >= 8)
    stack.compose("kill", "-s", "KILL", "worker")
    left = stack.job(path)
    assert left["status"] == "running"
    stack.compose("up", "--wait")
    ended, calm = stack.ended(path), stack.ended(stack.submit(**asked))
    assert (ended["status"], ended["attempts"]) == ("succeeded", 2)
    np.testing.assert_array_equal(stack.pixels(ended), stack.pixels(calm))


def test_stop_drains(stack: Stack) -> None:
    """A stopped worker leaves with status 0 within its stop period and hands its job back, no attempt spent."""
    path = stack.submit(label="C", seed=5, num_images=16)
    until(lambda: stack.job(path)["progress"]["slices_done"] >= 8)
    begun = time.monotonic()
    stack.compose("stop", "worker")
    assert time.monotonic() - begun < STOP_SECONDS
    assert stack.containers()["worker"]["State"]["ExitCode"] == 0
    assert stack.job(path)["finished_at"] is None
    stack.compose("up", "--wait")
    ended = stack.ended(path)
    assert (ended["status"], ended["attempts"]) == ("succeeded", 1)


def test_everything_stops_and_starts_again_with_its_jobs(stack: Stack) -> None:
    """All containers leave in time, and a job of before is still there. 143: the API has drained, and ends by SIGTERM."""
    path = stack.submit(label="D", seed=5)
    stack.ended(path)
    stack.compose("stop")
    statuses = {service: each["State"]["ExitCode"] for service, each in stack.containers().items()}
    assert statuses == dict.fromkeys(statuses, 0) | {"api": 143}
    stack.compose("up", "--wait")
    assert stack.job(path)["status"] == "succeeded"
