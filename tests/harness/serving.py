"""The real app on a real port, in a thread of the test process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

from service.app import create_app
from service.local.processes import free_port
from service.server import server_of
from service.settings import ServiceSettings


@contextmanager
def serving(settings: ServiceSettings) -> Iterator[str]:
    """The address of the app while it runs."""
    with started(server_of(create_app(settings), port=free_port())) as url:
        yield url


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """The address of any app while it runs."""
    config = uvicorn.Config(app, port=free_port(), log_level="error", timeout_graceful_shutdown=1, ws="none")
    with started(uvicorn.Server(config)) as url:
        yield url


@contextmanager
def started(server: uvicorn.Server) -> Iterator[str]:
    """The address of a server while it runs."""
    thread = Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.config.port}"
    finally:
        server.should_exit = True
        thread.join()
