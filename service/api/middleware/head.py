"""HEAD wherever GET is: the framework itself has it for no route."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


def is_stream(path: str) -> bool:
    """Whether GET never ends there by itself. HEAD stays refused."""
    return path.endswith("/events")


class HeadAsGet:
    """Pure ASGI middleware. The server knows the method that was asked for and drops the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; what the router finds out is for the access log."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or is_stream(scope["path"]):
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}
        await self._app(asked, receive, send)
        scope.update({name: asked[name] for name in ("route", "path_params") if name in asked})
