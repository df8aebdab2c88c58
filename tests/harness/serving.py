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
from service.settings import ServiceSettings


@contextmanager
def serving(settings: ServiceSettings) -> Iterator[str]:
    """The address of the app while it runs."""
    with running(create_app(settings)) as url:
        yield url


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """The address of any app while it runs."""
    port = free_port()
    config = uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    thread = Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
