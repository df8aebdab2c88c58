"""HEAD for every path that has GET. FastAPI itself has it for no route."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


def is_stream(path: str) -> bool:
    """Return whether GET streams there, so that HEAD is refused."""
    return path.endswith("/events")


class HeadAsGet:
    """Pure ASGI middleware. The server drops the body of a response to HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on as GET; the access log gets what the router found."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or is_stream(scope["path"]):
            await self._app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}
        await self._app(as_get, receive, send)
        scope.update({name: as_get[name] for name in ("route", "path_params") if name in as_get})
