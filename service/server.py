"""The HTTP server of one API process: uvicorn, with bounded connections and an orderly end."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from service.connections import BoundedConnection, ConnectionLimits
from service.redis_clients import CONNECTIONS
from service.webhooks.slots import AT_ONCE

if TYPE_CHECKING:
    from fastapi import FastAPI

    from service.api.routes.dependencies import Services

SHUTDOWN_SECONDS = 8
"""Time for requests in work. Waits and event streams end at once; what is left needs Redis, which has 5 s to answer."""

RESERVED_FILES = CONNECTIONS + AT_ONCE + 64
"""File descriptors for everything but HTTP connections: Redis, webhooks, files, log, connections just accepted."""

FEWEST_CONNECTIONS = 16
ACCEPTED_AT_ONCE = 32
"""Connections that asyncio accepts before the first of them can be refused. More than the reserved files are an error."""

BACKLOG = 2048
"""Connections that the kernel keeps until they are accepted."""


class Server(uvicorn.Server):
    """uvicorn's server. `end_waits` is called when it begins to stop."""

    def __init__(self, config: uvicorn.Config, *, end_waits: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_waits = end_waits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen with a long backlog. asyncio would accept all of it at once: its one argument is for both."""
        await super().startup(sockets)
        for each in [each for server in self.servers for each in server.sockets]:
            with socket.socket(fileno=os.dup(each.fileno())) as same:
                same.listen(BACKLOG)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End long polls and event streams, then let the other requests end."""
        self._end_waits()
        await super().shutdown(sockets)


def server_of(app: FastAPI, *, port: int | None = None, limits: ConnectionLimits | None = None) -> Server:
    """Return the server of an app, by its settings."""
    services: Services = app.state.services
    settings = services.settings
    limits = limits or ConnectionLimits(max_connections=connections_within(settings.max_connections))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port if port is None else port,
        http=partial(BoundedConnection, limits=limits),  # type: ignore[arg-type] # called like the class
        backlog=ACCEPTED_AT_ONCE,
        ws="none",
        log_config=None,
        log_level="warning",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return Server(config, end_waits=services.end_waits)


def connections_within(bound: int) -> int:
    """Return `bound`, or fewer if the process may not open so many files."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return bound
    return max(FEWEST_CONNECTIONS, min(bound, files - RESERVED_FILES))
