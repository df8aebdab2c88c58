"""Connections whose client is slow, silent, broken or one of too many."""

from __future__ import annotations

import json
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from service.app import create_app
from service.connections import MAX_AHEAD, MAX_HEAD_BYTES, ConnectionLimits
from service.local.processes import free_port
from service.server import RESERVED_FILES, connections_within, server_of
from service.settings import ServiceSettings
from tests.harness.launcher import ApiServer, eager, until
from tests.harness.serving import started

BOUND = 8
LIMITS = ConnectionLimits(max_connections=BOUND, head_seconds=1, body_seconds=1, send_seconds=1)
HEAD = b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HALVES = {
    "nothing": b"",
    "half a line": b"GET /healthz HT",
    "half the headers": HEAD,
    "a body that does not come": HEAD + b"Content-Length: 2\r\n\r\n",
    "half a body": HEAD + b"Content-Length: 2\r\n\r\n{",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "half of a second request": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /hea",
    "an empty line after a request": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n\r\n",
    "a request after a trailer that closes": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nConnection: close\r\n\r\nGET /healthz HT",
    "a body that nobody reads": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\n{",
}


@pytest.fixture(scope="module")
def port(redis_url: str, models: Path) -> Iterator[int]:
    """An open server with short time limits and few connections."""
    with limited(redis_url, models, LIMITS) as at:
        yield at


@contextmanager
def limited(redis_url: str, models: Path, limits: ConnectionLimits) -> Iterator[int]:
    """The port of a server."""
    app = create_app(ServiceSettings(redis_url=redis_url, models=models, model="toy", keep_alive_seconds=2))
    with started(server_of(app, port=free_port(), limits=limits)) as url:
        yield httpx.URL(url).port or 0


def everything(sock: socket.socket) -> bytes:
    """What comes until the server closes."""
    sock.settimeout(30)
    found = b""
    try:
        while data := sock.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_a_request_that_does_not_arrive_is_ended(half: bytes, port: int) -> None:
    """In its time, with 408 where something had arrived."""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.sendall(half)
        answer = everything(sock)
    last = answer.rpartition(b"HTTP/1.1 ")[2]
    assert last[:3] in ({b""} if half == b"" else {b"408", b"200", b"202"})
    if last.startswith(b"408"):
        assert json.loads(last.partition(b"\r\n\r\n")[2])["status"] == 408


def test_a_body_drop_by_drop_is_ended_too(port: int) -> None:
    """The time is for the whole body, not between two bytes."""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        assert is_cut(sock, b" ")


def test_a_silent_crowd_locks_nobody_out(port: int) -> None:
    """Beyond the bound the connection that is silent for longest makes room."""
    with ExitStack() as crowd:
        for number in range(BOUND * 5):
            sock = crowd.enter_context(closing(socket.create_connection(("127.0.0.1", port), 30)))
            sock.sendall(list(HALVES.values())[number % len(HALVES)])
            assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=30).status_code == 200


def test_waits_in_work_are_not_cut_for_others(port: int, store: redis.Redis) -> None:
    """With all connections in work a further one is refused with 503 and Retry-After; they go on."""
    assert store.dbsize() == 0
    where = httpx.post(f"http://127.0.0.1:{port}/generate", json={}, timeout=30).headers["location"]
    with ExitStack() as waits:
        socks = [waits.enter_context(closing(socket.create_connection(("127.0.0.1", port), 30))) for _ in range(BOUND)]
        for sock in socks:
            sock.sendall(f"GET {where}?wait=2 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        time.sleep(1)
        with socket.create_connection(("127.0.0.1", port), 30) as sock:
            refused = everything(sock)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 2" in refused
        assert all(everything(sock).startswith(b"HTTP/1.1 200 ") for sock in socks)


def test_a_client_that_does_not_read_is_cut(port: int, store: redis.Redis) -> None:
    """The rest of its responses is not kept for it."""
    assert store.dbsize() == 0
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(30)
        sock.connect(("127.0.0.1", port))
        assert is_cut(sock, b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 10)


def is_cut(sock: socket.socket, data: bytes) -> bool:
    """Whether the server closes while `data` is sent again and again, within half a minute."""
    for _ in range(600):
        try:
            sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            return True
        time.sleep(0.05)
    return False


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "another version": b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a path of other bytes": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "a long header in parts": b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000,
    "many headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 4000 + b"\r\n",
    "trailers without end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 100_000,
    "another scheme": b"GET ftp://x/jobs HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host in the target": b"GET http:///jobs HTTP/1.1\r\nHost: x\r\n\r\n",
    "a fragment": b"GET /jobs#a?b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a length and chunks": HEAD
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "a bad chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED)
def test_malformed_http_is_a_problem(request_bytes: bytes, port: int) -> None:
    """As JSON, like every other refusal."""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.sendall(request_bytes)
        head, _, body = everything(sock).partition(b"\r\n\r\n")
    status = 431 if len(request_bytes) > MAX_HEAD_BYTES else 400
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["status"] == status


GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
UPGRADE = b"Upgrade: h2c\r\nConnection: Upgrade\r\n"
SMUGGLED = GET + b"Connection: close\r\n\r\n"
AHEAD = {
    "requests": (GET + b"\r\n" + GET + b"Connection: close\r\n\r\n", [200, 200]),
    "as many as may be": ((GET + b"\r\n") * MAX_AHEAD + GET + b"Connection: close\r\n\r\n", [200] * (MAX_AHEAD + 1)),
    "too many": ((GET + b"\r\n") * (MAX_AHEAD + 20), [200] * (MAX_AHEAD + 1) + [400]),
    "no HTTP": (GET + b"\r\nhello\r\n\r\n" + GET + b"\r\n", [200, 400]),
    "no chunk": (GET + b"\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + GET + b"\r\n", [200, 400]),
    "a request for another protocol": (GET + UPGRADE + b"\r\n" + GET + b"Connection: close\r\n\r\n", [200, 200]),
    "one with a body": (
        HEAD + UPGRADE + b"Content-Length: 2\r\n\r\n{}" + GET + b"Connection: close\r\n\r\n",
        [202, 200],
    ),
    "one with chunks": (
        HEAD + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + GET + b"Connection: close\r\n\r\n",
        [202, 200],
    ),
    "one whose body is no request": (HEAD + UPGRADE + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED, [422]),
}


@pytest.mark.parametrize(("sent", "statuses"), AHEAD.values(), ids=AHEAD)
def test_what_is_sent_ahead_is_answered_in_order(sent: bytes, statuses: list[int], port: int) -> None:
    """All at once, before the first answer is read. What is refused does not take the answers of those before."""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.sendall(sent)
        answers = everything(sock)
    assert [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)] == statuses


def test_trailers_are_no_headers(port: int) -> None:
    """They come after a proxy has checked the headers: here one that would ask for another answer."""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        chunked = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n"
        sock.sendall(HEAD + b"X-Request-ID: head\r\n" + chunked + b"X-Request-ID: trailer\r\n\r\n")
        answer = everything(sock)
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert b"x-request-id: head\r\n" in answer.lower()


def test_a_request_that_has_its_answer_gets_no_other(port: int) -> None:
    """Whatever its body turns out to be: here one that its path does not read."""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.sendall(GET + b"Transfer-Encoding: chunked\r\n\r\n")
        first = sock.recv(65536)
        sock.sendall(b"zz\r\n")
        assert first.startswith(b"HTTP/1.1 200 ")
        assert everything(sock) == b""


@pytest.mark.parametrize("pause", [0, 0.3], ids=["at once", "later"])
def test_a_stream_ends_with_its_connection_whatever_was_sent_ahead(pause: float, port: int) -> None:
    """A second request waits behind the stream when the client leaves."""
    where = httpx.post(f"http://127.0.0.1:{port}/generate", json={}, timeout=30).headers["location"]
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.sendall(f"GET {where}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        time.sleep(pause)
        sock.sendall(GET + b"\r\n")
        assert b"text/event-stream" in sock.recv(65536)
        assert open_streams(port) == 1
    left = time.monotonic()
    until(lambda: open_streams(port) == 0)
    assert time.monotonic() - left < 5, "it ended with its next ping only"


def open_streams(port: int) -> float:
    """The event streams that are open, by the server's metrics."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("spn_http_event_streams "))


def test_the_bound_fits_the_files_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some are for other things."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, 1000))
    assert (connections_within(4096), connections_within(50)) == (1000 - RESERVED_FILES, 50)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert connections_within(4096) == 4096


def test_with_few_files_the_api_lives_through_a_crowd(redis_url: str, models: Path, tmp_path: Path) -> None:
    """A real process with 300 file descriptors, and 400 connections that send half a request each."""
    log = tmp_path / "api.log"
    api = ApiServer(eager(redis_url, models, "toy"), log=log)
    with files_at_most(300):
        api.launch()
    with api, ExitStack() as crowd:
        for _ in range(400):
            sock = crowd.enter_context(closing(socket.create_connection(("127.0.0.1", api.port), 30)))
            sock.sendall(HEAD)
        assert httpx.get(f"{api.url}/readyz", timeout=30).status_code == 200
    assert "Traceback" not in log.read_text()


@contextmanager
def files_at_most(number: int) -> Iterator[None]:
    """Processes that are started meanwhile may open so many files."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
