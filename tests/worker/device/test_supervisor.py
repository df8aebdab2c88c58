"""One worker process per device, as an operator starts them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import redis

from service.contract.redis_keys import workers_key
from service.local.processes import free_port

MODEL = "toy"
START_SECONDS = 60


@pytest.fixture
def supervisor(redis_url: str, models: Path, store: redis.Redis) -> Iterator[psutil.Popen]:
    """`python -m worker.main` with two devices; both workers have announced themselves."""
    settings = {"REDIS_URL": redis_url, "MODELS": str(models), "MODEL": MODEL, "DEVICES": "cpu,cpu", "COMPILE": "0"}
    settings |= {"LEASE_SECONDS": "1", "HEARTBEAT_SECONDS": "0.2", "METRICS_PORT": str(two_free_ports())}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | {f"SPN_{name}": value for name, value in settings.items()}
    process = psutil.Popen([sys.executable, "-m", "worker.main"], env=environment)
    try:
        until(lambda: live(store) == 2)
        yield process
    finally:
        if process.poll() is None:
            for each in [*process.children(), process]:
                each.kill()
        process.wait()


def two_free_ports() -> int:
    """Return a free port whose next one is free too: the second worker's metrics are there."""
    while True:
        port = free_port()
        with socket.socket() as next_one, suppress(OSError):
            next_one.bind(("127.0.0.1", port + 1))
            return port


def live(store: redis.Redis) -> int:
    """Workers that have not been silent for the length of a lease."""
    return int(store.zcount(workers_key(MODEL), time.time() * 1000, "+inf"))


def until(true: Callable[[], bool]) -> None:
    """Returns once it is."""
    deadline = time.monotonic() + START_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_that_dies_comes_back_and_all_drain_together(supervisor: psutil.Popen, store: redis.Redis) -> None:
    """Two processes, one of them killed and started again beside the other; then SIGTERM: both end, exit 0."""
    killed, other = supervisor.children()
    killed.send_signal(signal.SIGKILL)
    until(lambda: live(store) == 1)
    until(lambda: live(store) == 2)
    assert other in supervisor.children()
    children = supervisor.children()
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(20) == 0
    assert not any(child.is_running() for child in children)
    assert live(store) == 0


def test_a_drain_in_a_pause_starts_nothing(supervisor: psutil.Popen, store: redis.Redis) -> None:
    """Who was dead when the signal came stays so, and is no reason for another exit status."""
    first, _ = supervisor.children()
    first.send_signal(signal.SIGKILL)
    until(lambda: not first.is_running())  # a zombie still is: its parent has to have noticed
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(20) == 0
    until(lambda: live(store) == 0)


def test_the_second_signal_is_passed_on_too() -> None:
    """A child that ends with the second SIGTERM only."""
    stubborn = (
        "import signal, time, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)))\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.05)\n"
    )
    supervising = (
        "import sys\n"
        "from service.contract.children import Child\n"
        "from worker.device.supervisor import Supervisor\n"
        "sys.exit(Supervisor([Child([sys.executable, '-c', sys.argv[1]])]).run())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", supervising, stubborn], stdout=subprocess.PIPE)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout and process.stdout.close()
