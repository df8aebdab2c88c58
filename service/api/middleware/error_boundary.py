"""Faults of the server as problems, inside the other middlewares: so a 500 has their headers, such as those of CORS."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import unexpected


class ErrorBoundary:
    """Pure ASGI middleware. Starlette's own handler for 500 stands outside of all others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an exception with 500. Once a response has started, only the connection can be cut."""
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # whatever it is: no traceback reaches a client
            if scope["type"] != "http" or started:
                raise
            await unexpected(Request(scope), error)(scope, receive, send)
