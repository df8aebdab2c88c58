"""Bounded HTTP connections: time limits for a slow client, a bound on their number, and problems for malformed HTTP.

uvicorn itself waits for ever for the rest of a request, and for a client that does not read its response.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from httptools.parser.errors import HttpParserError, HttpParserUpgrade
from httptools.parser.parser import HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

MAX_HEAD_BYTES = 16_384
"""Request line and headers together."""

MAX_AHEAD = 16
"""Requests that a client may send before the answer to the first."""

VERSIONS = frozenset({"1.0", "1.1"})

ABSOLUTE = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
"""A target in absolute form, `GET http://host/jobs HTTP/1.1`, which every server must accept (RFC 9112, section 3.2.2)."""

TARGET = re.compile(rb"/[^#]*|\*", re.DOTALL)
"""Any other target: a path with its query, or `*`."""

FRAMING = frozenset({b"content-length", b"transfer-encoding"})

MALFORMED = (
    "The HTTP request is malformed. Send HTTP/1.1 with a method of its registry, without TLS, with a Host header."
)
HEAD_TOO_LONG = f"Request line and headers may have {MAX_HEAD_BYTES} bytes together."
TOO_MANY_AHEAD = f"At most {MAX_AHEAD} requests may be sent before their answers are read."
TOO_SLOW = "The request did not arrive in time. Send it again, all of it at once."
TOO_MANY = "This server has as many open connections as it accepts. Try again."
STOPPING = "This server is about to stop. Send the request again."


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Bounds of the connections of one process. The times are total, not between two bytes."""

    max_connections: int
    head_seconds: float = 10
    """From the connection, or the first byte of a further request, to the end of its headers."""

    body_seconds: float = 30
    """From the end of the headers to the end of the body."""

    send_seconds: float = 30
    """For a client that does not read: until its connection is cut."""


class RequestPart(StrEnum):
    """Parts of a request."""

    HEAD = "head"
    BODY = "body"


class RefusedError(Exception):
    """A request that is refused before the application sees it. Raised in callbacks of the parser."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection within ConnectionLimits. Each part of a request has one timer."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._part: RequestPart | None = RequestPart.HEAD  # that the client has to send; None: no request is begun
        self._begun = False  # whether anything has come at all
        self._overhead_bytes = 0  # since the last ones of a body: of a head, of trailers or between chunks
        self._known = False  # whether the parser reads a head again
        self._requests = deque[RequestResponseCycle]()  # without a complete response; the first one is in work
        self._refusal: RefusedError | None = None  # for when these are answered
        self._watched: tuple[RequestPart | None, object] = (None, None)
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._waits_since = 0.0

    @property
    def waits(self) -> bool:
        """Whether nothing is in work here: the next step is the client's."""
        return not self._requests or (
            len(self._requests) == 1 and self._part is RequestPart.BODY and not self._requests[0].response_started
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection; beyond the bound in place of the one whose client is silent for longest."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self._limits.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and tell all requests; uvicorn tells the last one."""
        for timer in (self._timer, self._stalled):
            if timer:
                timer.cancel()
        self._disconnect()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and watch what is still to come."""
        if self._refusal or self.transport.is_closing():
            return
        self._begun = True
        self._overhead_bytes += len(data)
        try:
            self._feed(data)
        except RefusedError as error:
            self._refuse(error)
        if self._part or self._requests:  # else nothing has begun that has a timer of its own
            self._unset_keepalive_if_required()
        self._watch()

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._known:
            return
        if len(self._requests) > MAX_AHEAD:
            raise RefusedError(400, TOO_MANY_AHEAD)
        self._part = RequestPart.HEAD
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take the target."""
        if not self._known:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers are none: they would come after a proxy has read the head."""
        if self._part is RequestPart.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, or let it wait for those before it."""
        if self._known:
            return
        self._check_head()
        if found := ABSOLUTE.fullmatch(self.url):
            host, rest = found.groups()
            self.url = rest if rest.startswith(b"/") else b"/" + rest
            self.headers[:] = [(b"host", host), *(each for each in self.headers if each[0] != b"host")]
        if not TARGET.fullmatch(self.url):
            raise RefusedError(400, MALFORMED)
        super().on_headers_complete()
        self._part = RequestPart.BODY
        self._requests.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._overhead_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request. While another one is in work, a client that leaves is noticed only by reading on."""
        if self.parser.should_upgrade():  # its body is still to come
            return
        self._part, self._overhead_bytes = None, 0
        super().on_message_complete()
        if not self.cycle.body:
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self._requests.popleft()
        if self._refusal and self.waits:
            self._refuse(self._refusal)
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait for the client to read, for a limited time."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self._limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop that timer."""
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()

    def shutdown(self) -> None:
        """Let a request in work end; wait for no client."""
        if self.transport.is_closing():
            return
        if self.waits and self._requests:
            self._refuse(RefusedError(503, STOPPING))
            return
        super().shutdown()
        if self._requests:
            self._requests[0].keep_alive = False
            if self.flow.write_paused:
                self.transport.abort()

    def _feed(self, data: bytes) -> None:
        """Parse. Raises RefusedError."""
        while data:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._stay()
            except HttpParserError as error:
                refused = error.__context__ if isinstance(error.__context__, RefusedError) else None
                raise refused or RefusedError(400, MALFORMED) from error
            else:
                break
        if self._overhead_bytes > MAX_HEAD_BYTES:
            raise RefusedError(431, HEAD_TOO_LONG)

    def _stay(self) -> None:
        """Answer a request for another protocol in this one. llhttp reads no body of it, so a new parser does."""
        framing = b"".join(b"%s: %s\r\n" % header for header in self.headers if header[0] in FRAMING)
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self._known = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n")
        self._known = False

    def _check_head(self) -> None:
        """Raise RefusedError for a head that is too long, of another version, or without one Host."""
        size = len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            raise RefusedError(431, HEAD_TOO_LONG)
        version, hosts = self.parser.get_http_version(), sum(name == b"host" for name, _ in self.headers)
        if version not in VERSIONS or hosts > 1 or (version == "1.1" and not hosts):
            raise RefusedError(400, MALFORMED)

    def _watch(self) -> None:
        """Have a timer for the part that the client has to send."""
        part = self._part if self.waits and not self.transport.is_closing() else None
        watched = (part, self.cycle)
        if watched == self._watched:
            return
        if self._timer:
            self._timer.cancel()
        self._watched, self._waits_since = watched, self.loop.time()
        seconds = {RequestPart.HEAD: self._limits.head_seconds, RequestPart.BODY: self._limits.body_seconds}
        self._timer = self.loop.call_later(seconds[part], self._too_slow) if part else None

    def _too_slow(self) -> None:
        """End a request that has not arrived. For a browser's connection in advance there is nothing to answer."""
        if not self._begun:
            self.transport.abort()
        elif self.waits:
            self._refuse(RefusedError(408, TOO_SLOW))

    def _make_room(self) -> None:
        others = [each for each in self.connections if each is not self and isinstance(each, BoundedConnection)]
        waiting = [each for each in others if each.waits]
        if not waiting:
            self._refuse(RefusedError(503, TOO_MANY))
            return
        longest = min(waiting, key=lambda each: each._waits_since)  # noqa: SLF001 - of this class
        self.connections.discard(longest)
        longest.transport.abort()

    def _refuse(self, refused: RefusedError) -> None:
        """Answer with a problem and close; once the requests before have their answers. One that has its own gets no other."""
        self._refusal = refused
        if self.waits:
            if self._requests or self._part is not RequestPart.BODY:
                self.transport.write(problem_response(refused.status, refused.detail))
            self.transport.close()
            self._disconnect()
            self._watch()

    def _disconnect(self) -> None:
        """Tell the requests that nobody waits for their answers."""
        for each in self._requests:
            each.disconnected = True
            each.message_event.set()


def problem_response(status: int, detail: str) -> bytes:
    """Return a problem (RFC 9457) as a response that closes the connection."""
    phrase = HTTPStatus(status).phrase
    body = json.dumps({"type": "about:blank", "title": phrase, "status": status, "detail": detail})
    retry = "retry-after: 2\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/problem+json\r\ncontent-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n{retry}\r\n{body}".encode()
