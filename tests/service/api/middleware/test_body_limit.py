"""The pace of large bodies: what a body has beyond SMALL bytes is read at a bounded rate, for all requests together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from starlette.types import Message, Receive, Scope, Send

from service.api.middleware.body_limit import SMALL, BodyLimit

BYTES_PER_SECOND = 1 << 20
CHUNK = SMALL // 2
LARGE = SMALL + BYTES_PER_SECOND // 4


class ReadingApp:
    """An app that reads bodies, with the seconds that each took."""

    def __init__(self) -> None:
        self.app = BodyLimit(self._read, 1 << 24, bytes_per_second=BYTES_PER_SECOND)
        self.seconds: dict[str, float] = {}

    async def take(self, name: str, size: int) -> None:
        """Take a body that is there at once, in chunks."""
        chunks = messages(size)

        async def receive() -> Message:
            return next(chunks)

        async def send(_: Message) -> None:
            raise AssertionError(name)

        await self.app({"type": "http", "method": "POST", "headers": [], "path": f"/{name}"}, receive, send)

    async def _read(self, scope: Scope, receive: Receive, _: Send) -> None:
        begun = time.monotonic()
        while (await receive())["more_body"]:
            pass
        self.seconds[scope["path"][1:]] = time.monotonic() - begun


def messages(size: int) -> Iterator[Message]:
    """Return the messages of a body."""
    for start in range(0, size, CHUNK):
        chunk = b" " * min(CHUNK, size - start)
        yield {"type": "http.request", "body": chunk, "more_body": start + CHUNK < size}


def test_large_bodies_wait_for_each_other_and_small_ones_for_nobody() -> None:
    """Two bodies of a quarter of a second beyond SMALL take half a second together; a small one is read at once."""

    async def all_at_once() -> dict[str, float]:
        reader = ReadingApp()
        await asyncio.gather(reader.take("first", LARGE), reader.take("second", LARGE), reader.take("small", SMALL))
        return reader.seconds

    seconds = asyncio.run(all_at_once())
    assert max(seconds["first"], seconds["second"]) >= 0.5
    assert seconds["small"] < 0.1


def test_a_pause_gives_no_credit() -> None:
    """A body that comes after a pause waits as long as the first one did."""

    async def with_a_pause() -> float:
        reader = ReadingApp()
        await reader.take("first", LARGE)
        await asyncio.sleep(0.5)
        await reader.take("second", LARGE)
        return reader.seconds["second"]

    assert asyncio.run(with_a_pause()) >= 0.25
