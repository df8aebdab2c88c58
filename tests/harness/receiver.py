"""A receiver of webhooks: a real HTTP server in a thread, which keeps what it gets and answers as a test wants."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.local.processes import free_port

HANG = 0
"""An answer that never comes."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body read."""
        return json.loads(self.body)


@dataclass
class RecordingReceiver:
    """What came, and the answers to the next requests; 204 after the last of them."""

    port: int
    scheme: str = "http"
    host: str = "127.0.0.1"
    answers: list[int] = field(default_factory=list)
    location: str = "/"
    retry_after: str = ""
    received: list[Received] = field(default_factory=list)

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://{self.address}/hook"

    @property
    def ids(self) -> list[str]:
        """The webhook-id of each request."""
        return [each.headers["webhook-id"] for each in self.received]

    @property
    def events(self) -> list[str]:
        """The event of each request."""
        return [each.json["data"]["event"] for each in self.received]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app."""
        request = Request(scope, receive)
        body = await request.body()
        self.received.append(Received(path=request.url.path, headers=dict(request.headers), body=body))
        if (status := self.answers.pop(0) if self.answers else 204) == HANG:
            await disconnected(receive)
            return
        headers = {"Location": self.location} if status in range(300, 400) else {}
        if self.retry_after:
            headers["Retry-After"] = self.retry_after
        await Response(status_code=status, headers=headers)(scope, receive, send)


async def disconnected(receive: Receive) -> None:
    """Returns once the other side has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


@contextmanager
def receiving(receiver: RecordingReceiver | None = None, **tls: Path) -> Iterator[RecordingReceiver]:
    """A receiver that listens. `tls`: ssl_certfile and ssl_keyfile of its certificate."""
    receiver = receiver or RecordingReceiver(port=free_port())
    paths = {name: str(path) for name, path in tls.items()}
    config = uvicorn.Config(
        receiver,
        port=receiver.port,
        log_level="critical",
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
        **paths,  # type: ignore[arg-type]
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield receiver
    finally:
        server.should_exit = True
        thread.join()


async def eventually(true: Callable[[], bool | Awaitable[bool]], seconds: float = 60) -> None:
    """Return once it is true; fail after `seconds`, which are many because the machine may be busy."""
    async with asyncio.timeout(seconds):
        while True:
            answer = true()
            if answer is True or (isinstance(answer, Awaitable) and await answer):
                return
            await asyncio.sleep(0.01)
