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
"""Others are counted as one: a caller may make up any number of them."""

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked by machines every few seconds: logged at DEBUG."""

UNKNOWN = "other"
STREAM = "text/event-stream"
ERROR = 400


@dataclass
class ResponseSummary:
    """What is known of the answer once it begins. Until then it is what an exception would make of it."""

    status: int = 500
    seconds: float | None = None
    streams: bool = False


class AccessLog:
    """Pure ASGI middleware, to stand inside `RequestId`. Of the address the path alone is kept: a query may be secret."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; measure when the answer begins, write when it has ended."""
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
        told = fields(scope, answer.status, seconds)
        level = logging.DEBUG if told["path"] in PROBES else logging.INFO
        logger.log(
            level, "%s %s %d %.1f ms", *(told[name] for name in ("method", "path", "status", "duration_ms")), extra=told
        )


def fields(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    """What the log says of a request; `job` where the path names one."""
    told = {
        "request_id": scope["state"].get("request_id", ""),
        "method": method_of(scope),
        "path": path_of(scope),
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
    }
    job = scope.get("path_params", {}).get("job")
    return told | ({"job": job} if job else {})


def method_of(scope: Scope) -> str:
    """The method, or UNKNOWN."""
    return scope["method"] if scope["method"] in METHODS else UNKNOWN


def path_of(scope: Scope) -> str:
    """The path, escaped again: no line break of a caller's gets into the log."""
    return quote(scope["path"])


def route_of(scope: Scope) -> str:
    """The template that answered, never the path itself: its number of values is bounded."""
    return getattr(scope.get("route"), "path", UNKNOWN)
