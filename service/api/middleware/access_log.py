"""One log line and one measurement per request."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from service.metrics import ServiceMetrics

logger = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods with metrics of their own. All others are counted together: a caller can invent any number."""

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that machines request every few seconds; logged at DEBUG."""

UNKNOWN = "other"
STREAM = "text/event-stream"
ERROR = 400


@dataclass
class ResponseSummary:
    """Status and time of a response. Before it starts they are those of an exception."""

    status: int = 500
    seconds: float | None = None
    streams: bool = False


class AccessLog:
    """Pure ASGI middleware, inside of `RequestId`. It keeps the path of a URL and not its query, which may be secret."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; measure when the response starts, log when it has ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, answer = time.perf_counter(), ResponseSummary()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._begin(answer, message, time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._end(scope, answer, time.perf_counter() - began)

    def _begin(self, answer: ResponseSummary, start: Message, seconds: float) -> None:
        answer.status, answer.seconds = start["status"], seconds
        answer.streams = Headers(raw=start["headers"]).get("content-type", "").startswith(STREAM)
        if answer.streams:
            self._metrics.streams.inc()

    def _end(self, scope: Scope, answer: ResponseSummary, seconds: float) -> None:
        if answer.streams:
            self._metrics.streams.dec()
        labels = (method_of(scope), route_of(scope), answer.status)
        self._metrics.latency.labels(*labels).observe(seconds if answer.seconds is None else answer.seconds)
        if answer.status >= ERROR:
            self._metrics.refusals.labels(scope["state"].get("problem", "about:blank"), answer.status).inc()
        line = fields(scope, answer.status, seconds)
        level = logging.DEBUG if line["path"] in PROBES else logging.INFO
        logger.log(
            level, "%s %s %d %.1f ms", *(line[name] for name in ("method", "path", "status", "duration_ms")), extra=line
        )


def fields(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    """Return the fields of a log line; with `job` if the path has one."""
    line = {
        "request_id": scope["state"].get("request_id", ""),
        "method": method_of(scope),
        "path": path_of(scope),
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
    }
    job = scope.get("path_params", {}).get("job")
    return line | ({"job": job} if job else {})


def method_of(scope: Scope) -> str:
    """Return the method, or UNKNOWN."""
    return scope["method"] if scope["method"] in METHODS else UNKNOWN


def path_of(scope: Scope) -> str:
    """Return the path, escaped again, so that it has no line break."""
    return quote(scope["path"])


def route_of(scope: Scope) -> str:
    """Return the path template of the route: unlike paths, their number is bounded."""
    return getattr(scope.get("route"), "path", UNKNOWN)
