"""Only expected Host headers: else a foreign page could reach a local server under its own name (DNS rebinding)."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem

LOOPBACK_HOST = re.compile(r"localhost|([a-z0-9-]+\.)+localhost|127(\.[0-9]{1,3}){3}|\[::1\]")
PORT = re.compile(r":[0-9]{1,5}$")


class HostCheck:
    """Pure ASGI middleware. Without `hosts` it accepts the names of loopback."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self._app, self._hosts = app, frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse with 421."""
        if scope["type"] != "http" or self._accepted(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        wanted = ", ".join(sorted(self._hosts)) or "localhost and 127.0.0.1"
        detail = f"This server accepts requests for {wanted}. Its operator can add other hosts to SPN_HOSTS."
        await problem(Request(scope), status=421, detail=detail)(scope, receive, send)

    def _accepted(self, header: str) -> bool:
        host = PORT.sub("", header.lower())
        return host in self._hosts if self._hosts else bool(LOOPBACK_HOST.fullmatch(host))
