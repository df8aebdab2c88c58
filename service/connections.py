"""Bounded HTTP connections: time limits for a slow client, a bound on their number, and problems for malformed HTTP.

uvicorn itself waits for ever for the rest of a request, and for a client that does not read its response.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

MAX_HEAD_BYTES = 16_384
"""Request line and headers together."""

EMPTY_LINE = re.compile(rb"\r?\n\r?\n")

MALFORMED = "The HTTP request is malformed. Send HTTP/1.1, without TLS, with a Host header."
HEAD_TOO_LONG = f"Request line and headers may have {MAX_HEAD_BYTES} bytes together."
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


class BoundedConnection(H11Protocol):
    """uvicorn's connection within ConnectionLimits. Each phase of a request has one timer."""

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
        self._limits, self._phase = limits, ("", 0)
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._waits_since = 0.0

    @property
    def waits(self) -> bool:
        """Whether nothing is in work here: the next step is the client's."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection; beyond the bound in place of the one whose client is silent for longest."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self._limits.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        for timer in (self._timer, self._stalled):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and watch what is still to come."""
        if self._head_too_long(data):
            self._refuse(431, HEAD_TOO_LONG)
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
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

    def send_400_response(self, msg: str) -> None:
        """Refuse malformed HTTP with a problem."""
        del msg
        self._refuse(400, MALFORMED)

    def shutdown(self) -> None:
        """Let a request in work end; wait for no client."""
        if self.transport.is_closing():
            return
        in_work = not self.waits
        if not in_work and self.cycle and not self.cycle.response_complete:
            self._refuse(503, STOPPING)
            return
        super().shutdown()
        if in_work and self.flow.write_paused:
            self.transport.abort()

    def _head_too_long(self, data: bytes) -> bool:
        """Return whether more than MAX_HEAD_BYTES come without an empty line. h11 has no bound for what comes at once."""
        if self.conn.their_state is not h11.IDLE:
            return False
        head = self.conn.trailing_data[0] + data
        return len(head) > MAX_HEAD_BYTES and not EMPTY_LINE.search(head, 0, MAX_HEAD_BYTES)

    def _watch(self) -> None:
        """Have a timer for the phase that the request is in."""
        phase = self._current_phase()
        if phase == self._phase:
            return
        if self._timer:
            self._timer.cancel()
        self._phase, self._waits_since = phase, self.loop.time()
        seconds = {"head": self._limits.head_seconds, "body": self._limits.body_seconds}.get(phase[0])
        self._timer = self.loop.call_later(seconds, self._too_slow) if seconds is not None else None

    def _current_phase(self) -> tuple[str, int]:
        """Return what the client still has to send, and of which request; "" for nothing that is begun."""
        if self.transport.is_closing():
            return ("", 0)
        if self.conn.their_state is h11.SEND_BODY:
            return ("body", id(self.cycle))
        begun = self.cycle is None or bool(self.conn.trailing_data[0])
        return ("head", id(self.cycle)) if self.conn.their_state is h11.IDLE and begun else ("", id(self.cycle))

    def _too_slow(self) -> None:
        silent = self.cycle is None and not self.conn.trailing_data[0]
        if silent:  # a browser's connection in advance: nothing to answer
            self.transport.abort()
        else:
            self._refuse(408, TOO_SLOW)

    def _make_room(self) -> None:
        others = [each for each in self.connections if each is not self and isinstance(each, BoundedConnection)]
        waiting = [each for each in others if each.waits]
        if not waiting:
            self._refuse(503, TOO_MANY)
            return
        longest = min(waiting, key=lambda each: each._waits_since)  # noqa: SLF001 - of this class
        self.connections.discard(longest)
        longest.transport.abort()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer with a problem where that is still possible, and close."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            for event in problem_events(status, detail):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._watch()


def problem_events(status: int, detail: str) -> tuple[h11.Response, h11.Data, h11.EndOfMessage]:
    """Return a problem (RFC 9457) as a response that closes the connection."""
    phrase = HTTPStatus(status).phrase
    body = json.dumps({"type": "about:blank", "title": phrase, "status": status, "detail": detail}).encode()
    headers = [
        ("content-type", "application/problem+json"),
        ("content-length", str(len(body))),
        ("connection", "close"),
        *([("retry-after", "2")] if status == HTTPStatus.SERVICE_UNAVAILABLE else []),
    ]
    return (
        h11.Response(status_code=status, headers=headers, reason=phrase.encode()),
        h11.Data(data=body),
        h11.EndOfMessage(),
    )
