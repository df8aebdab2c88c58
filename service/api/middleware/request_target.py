"""Requests in absolute form, `GET http://host/jobs HTTP/1.1`, which every server must accept (RFC 9112, section 3.2.2)."""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

ABSOLUTE = re.compile(rb"https?://([^/?#]*)(/.*)?", re.IGNORECASE | re.DOTALL)


class RequestTarget:
    """Pure ASGI middleware, outside of all others: they see the path alone, and the host of the target as Host header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] == "http" and (found := ABSOLUTE.fullmatch(scope.get("raw_path") or b"")):
            host, path = found[1], found[2] or b"/"
            headers = [(b"host", host), *(each for each in scope["headers"] if each[0] != b"host")]
            scope = {**scope, "path": unquote(path.decode("ascii")), "raw_path": path, "headers": headers}
        await self._app(scope, receive, send)
