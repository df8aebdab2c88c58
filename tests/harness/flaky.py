"""Bad weather around the real app: answers that get lost, streams that are cut, a server that is busy."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CutStreams:
    """Breaks event streams after one event and a half, `most` times at the utmost; `cuts` counts them."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most, self.cuts = app, most, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Anything but a stream passes."""
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
    """A proxy that answers every event stream with an error page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Anything but a stream passes."""
        refused = scope.get("path", "").endswith("/events")
        page = PlainTextResponse("Bad gateway", status_code=502)
        await (page if refused else self._app)(scope, receive, send)


class LostAnswers:
    """The first `times` submissions arrive, but the connection breaks before the answer's body."""

    def __init__(self, app: ASGIApp, times: int) -> None:
        self._app, self.left = app, times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Anything but a submission passes."""
        if scope.get("path") != "/generate" or not self.left:
            return await self._app(scope, receive, send)
        self.left -= 1

        async def lost(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)

        return await self._app(scope, receive, lost)


class Busy:
    """The first `times` requests are refused with 503 and a Retry-After of one second."""

    def __init__(self, app: ASGIApp, times: int) -> None:
        self._app, self.left = app, times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Then all pass."""
        if scope["type"] != "http" or not self.left:
            return await self._app(scope, receive, send)
        self.left -= 1
        page = PlainTextResponse("Busy", status_code=503, headers={"Retry-After": "1"})
        return await page(scope, receive, send)
