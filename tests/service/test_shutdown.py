"""SIGTERM while callers wait: each gets its answer, and the log has no traceback."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import redis

from service.local.processes import free_port
from service.server import SHUTDOWN_SECONDS
from tests.harness.launcher import ApiServer, eager

WAIT = 60


def polled(url: str, where: str) -> httpx.Response:
    """A long poll."""
    return httpx.get(f"{url}{where}?wait={WAIT}", timeout=WAIT)


def polled_again(url: str, where: str) -> httpx.Response:
    """A long poll of a caller who knows the job as it is."""
    etag = httpx.get(f"{url}{where}").headers["etag"]
    return httpx.get(f"{url}{where}?wait={WAIT}", timeout=WAIT, headers={"If-None-Match": etag})


def submitted(url: str, _: str) -> httpx.Response:
    """A submit that waits for the end of the job."""
    return httpx.post(f"{url}/generate", json={}, headers={"Prefer": f"wait={WAIT}"}, timeout=WAIT)


def streamed(url: str, where: str) -> httpx.Response:
    """A stream until its end. A cut stream raises RemoteProtocolError."""
    return httpx.get(f"{url}{where}/events", timeout=WAIT)


WAITS: dict[Callable[[str, str], httpx.Response], int] = {polled: 200, polled_again: 304, submitted: 202, streamed: 200}


def test_waits_end_with_their_answer(redis_url: str, store: redis.Redis, models: Path, tmp_path: Path) -> None:
    """Long polls with 200 or 304, Prefer: wait with 202, streams quietly; half a request is refused; all in seconds."""
    assert store.dbsize() == 0
    log = tmp_path / "api.log"
    with ApiServer(eager(redis_url, models, "toy"), log=log) as api, ThreadPoolExecutor(8) as callers:
        where = httpx.post(f"{api.url}/generate", json={}).headers["location"]
        calls = {callers.submit(call, api.url, where): status for call, status in WAITS.items() for _ in range(2)}
        with socket.create_connection(("127.0.0.1", api.port), 30) as half:
            half.sendall(
                b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
            )
            time.sleep(3)
            api.send(signal.SIGTERM)
            refused = half.recv(65536)
        assert api.exit_code(within_seconds=30) in {0, -signal.SIGTERM}
        assert [call.result().status_code for call in calls] == list(calls.values())
        assert refused.startswith(b"HTTP/1.1 503 ")
    assert not {"Traceback", "ERROR"} & set(log.read_text().split())


def test_a_stream_of_another_cell_ends_with_its_api_process(
    redis_url: str, store: redis.Redis, models: Path, tmp_path: Path
) -> None:
    """Regularly and at once, as one of its own cell does."""
    assert store.dbsize() == 0
    ports, log = [free_port(), free_port()], tmp_path / "api.log"
    cells = ",".join(f"0{number}=http://127.0.0.1:{port}" for number, port in enumerate(ports))
    own, other = (
        eager(redis_url, models, "toy", PORT=str(port), CELL=f"0{number}", CELLS=cells)
        for number, port in enumerate(ports)
    )
    with (
        ApiServer(own, log=log) as api,
        ApiServer(other, log=tmp_path / "other.log") as far,
        ThreadPoolExecutor(1) as caller,
    ):
        where = httpx.post(f"{far.url}/generate", json={}).headers["location"]
        stream = caller.submit(streamed, api.url, where)
        time.sleep(2)
        api.send(signal.SIGTERM)
        assert api.exit_code(within_seconds=SHUTDOWN_SECONDS - 1) in {0, -signal.SIGTERM}
        assert "event: status" in stream.result().text
    assert not {"Traceback", "ERROR"} & set(log.read_text().split())
