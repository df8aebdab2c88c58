"""Headers that tell a browser what a response may do."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""Policy of data and images: opened as pages they may load and run nothing."""

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": NOTHING.encode(),
}


class SecurityHeaders:
    """Pure ASGI middleware. A response that has one of the headers keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the headers on every response."""

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                present = {name for name, _ in headers}
                message["headers"] = [*headers, *(each for each in HEADERS.items() if each[0] not in present)]
            await send(message)

        await self._app(scope, receive, secured)
