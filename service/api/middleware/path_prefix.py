"""The path prefix under which a proxy publishes the API, whether or not the proxy removes it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class PathPrefix:
    """Pure ASGI middleware, outside of all others: they and the routes see paths without the prefix."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; the prefix is kept for URLs in problems."""
        if scope["type"] == "http":
            path: str = scope["path"]
            shorter = path[len(self._prefix) :] if path.startswith(f"{self._prefix}/") else path
            state = {**scope.get("state", {}), "prefix": self._prefix}
            scope = {**scope, "path": shorter, "raw_path": shorter.encode(), "state": state}
        await self._app(scope, receive, send)
