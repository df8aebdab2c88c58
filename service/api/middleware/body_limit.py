"""Bound and pace of request bodies: 413 at once by Content-Length, else as soon as the body is too long.

A route that reads its body gets the 413 as an exception, after the key was checked: so it counts towards the rate limit.

What a body has beyond SMALL bytes is read at a bounded rate, for all requests of a process together. So callers of large bodies
wait for each other, and all other requests do not wait for them.

A request with two lengths is a 400, and its connection ends (RFC 9112, section 6.1).
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem

SMALL: Final = 1 << 16
"""Bytes of a body that never wait: most valid bodies have fewer."""

BYTES_PER_SECOND: Final = 1 << 24
"""Rate of large bodies. To read, check and refuse one of 1 MiB takes 3 ms: so they take a twentieth of the process."""

AMBIGUOUS = "The request has Content-Length and Transfer-Encoding. Send one of them."


class ReadingPace:
    """Turns for bytes, in the order of their callers, at a bounded rate."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate, self._free_at = bytes_per_second, 0.0

    async def turn(self, size: int) -> None:
        """Wait until `size` more bytes may be read."""
        now = time.monotonic()
        self._free_at = max(now, self._free_at) + size / self._rate
        await asyncio.sleep(self._free_at - now)


class BodyLimit:
    """Pure ASGI middleware. FastAPI's own limit answers in plain text, this one with a problem."""

    def __init__(self, app: ASGIApp, max_bytes: int, *, bytes_per_second: float = BYTES_PER_SECOND) -> None:
        self._app, self._max_bytes, self._pace = app, max_bytes, ReadingPace(bytes_per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a body that is small enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:  # a proxy may see another end of the body
            answer = problem(Request(scope), status=400, detail=AMBIGUOUS, headers={"Connection": "close"})
            await answer(scope, receive, send)
            return
        length = headers.get("content-length", "0")
        too_long = length.isdecimal() and int(length) > self._max_bytes
        if scope["method"] == "POST":
            await self._app(scope, self._refused if too_long else self._counted(receive), send)
        elif too_long:
            await problem(Request(scope), status=413, detail=self._detail)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    @property
    def _detail(self) -> str:
        return f"A request body may have {self._max_bytes} bytes. Send fewer."

    async def _refused(self) -> Message:
        raise HTTPException(413, self._detail)

    def _counted(self, receive: Receive) -> Receive:
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            size = len(message.get("body", b""))
            read += size
            if read > self._max_bytes:
                raise HTTPException(413, self._detail)
            if read > SMALL:
                await self._pace.turn(min(size, read - SMALL))
            return message

        return counted
