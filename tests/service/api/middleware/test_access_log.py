"""The line that each request leaves in the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from starlette.types import Receive, Scope, Send

from service.api.middleware.access_log import AccessLog, logger
from service.api.middleware.request_id import RequestId
from service.metrics import ServiceMetrics
from service.settings import ServiceSettings
from tests.harness.serving import serving


@pytest.fixture
def client(
    store: redis.Redis, redis_url: str, models: Path, caplog: pytest.LogCaptureFixture
) -> Iterator[httpx.Client]:
    """A caller; what its requests leave in the log is in caplog."""
    assert store.dbsize() == 0
    caplog.set_level(logging.INFO, logger.name)
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy")
    with serving(settings) as url, httpx.Client(base_url=url) as http:
        yield http


def lines(caplog: pytest.LogCaptureFixture, number: int = 1) -> list[logging.LogRecord]:
    """Those of the middleware, once there are `number`: a line is written just after its answer has ended."""
    deadline = time.monotonic() + 5
    while True:
        found = [record for record in caplog.records if record.name == logger.name]
        if len(found) >= number or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


def test_a_request_leaves_one_line_with_its_id(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """The same id that the caller got, so that both can speak of it."""
    response = client.get("/jobs/none", headers={"X-Request-ID": "mine"})
    (line,) = lines(caplog)
    told = {name: getattr(line, name) for name in ("request_id", "method", "path", "status", "job")}
    assert told == {"request_id": "mine", "method": "GET", "path": "/jobs/none", "status": 404, "job": "none"}
    assert response.headers["x-request-id"] == "mine"
    assert 0 < line.duration_ms < 10_000  # type: ignore[attr-defined]


def test_no_query_or_header_gets_into_the_log(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """They may carry signatures and keys."""
    client.get("/jobs/none/events?signature=hidden", headers={"Authorization": "Bearer hidden"})
    client.post("/generate", json={"metadata": {"a": "hidden"}}, headers={"Idempotency-Key": "hidden"})
    assert len(lines(caplog, 2)) == 2
    ours = [record for record in caplog.records if record.name.startswith("service")]
    assert "hidden" not in "".join(str(vars(record)) for record in ours)


def test_a_caller_cannot_forge_a_line(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """Line breaks in a path stay escaped."""
    client.get("/jobs/a%0a2026-01-01 INFO service.access all is well")
    (line,) = lines(caplog)
    assert "\n" not in line.getMessage()


def test_a_request_that_breaks_is_counted_and_written_as_500(caplog: pytest.LogCaptureFixture) -> None:
    """What the caller gets from the handler further out."""
    caplog.set_level(logging.INFO, logger.name)
    metrics = ServiceMetrics()

    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise LookupError

    async def ask() -> int:
        transport = httpx.ASGITransport(RequestId(AccessLog(broken, metrics)), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get("/a")).status_code

    assert asyncio.run(ask()) == 500
    assert [vars(line)["status"] for line in lines(caplog)] == [500]
    refused = {"type": "about:blank", "status": "500"}
    assert metrics.registry.get_sample_value("spn_http_refusals_total", refused) == 1
