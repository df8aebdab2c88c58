"""Faults around the real app: lost responses, cut event streams, a busy server."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CutStreams:
    """Wrapper that cuts event streams after one and a half events, at most `most` times; `cuts` counts them."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most, self.cuts = app, most, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass all but event streams."""
        if not scope.get("path", "").endswith("/events") or self.cuts == self._most:
            return await self._app(scope, receive, send)
        sent = 0

        async def cutting(message: Message) -> None:
            nonlocal sent
            body = message.get("body", b"")
            sent += b"event:" in body
            await send({**message, "body": body[: len(body) // 2]} if sent > 1 else message)
            if sent > 1:
                self.cuts += 1
                raise OSError("cut")

        try:
            await self._app(scope, receive, cutting)
        except ClientDisconnect:
            return None


class NoStreams:
    """Wrapper that answers every event stream with an error page, as a proxy does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass all but event streams."""
        refused = scope.get("path", "").endswith("/events")
        page = PlainTextResponse("Bad gateway", status_code=502)
        await (page if refused else self._app)(scope, receive, send)


class LostAnswers:
    """Wrapper that lets the first `times` submissions arrive and cuts the connection before the response body."""

    def __init__(self, app: ASGIApp, times: int) -> None:
        self._app, self.left = app, times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass all but submissions."""
        if scope.get("path") != "/generate" or not self.left:
            return await self._app(scope, receive, send)
        self.left -= 1

        async def lost(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)

        return await self._app(scope, receive, lost)


class Busy:
    """Wrapper that refuses the first `times` requests with 503 and a Retry-After of one second."""

    def __init__(self, app: ASGIApp, times: int) -> None:
        self._app, self.left = app, times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, then pass all."""
        if scope["type"] != "http" or not self.left:
            return await self._app(scope, receive, send)
        self.left -= 1
        page = PlainTextResponse("Busy", status_code=503, headers={"Retry-After": "1"})
        return await page(scope, receive, send)
