"""Reader of new events: one blocking XREAD for all open waits of this process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

BLOCK_MILLISECONDS = 200
"""A wait that begins while XREAD blocks joins the next one: this is how late it may notice its first entry."""

GATHER_SECONDS = 0.02
"""Pause between reads. A read over hundreds of streams costs milliseconds; events during the pause share one."""

RETRY_SECONDS = 0.5

VANISHED_SECONDS = 1.0
"""Time between two looks for streams that Redis has lost."""


class EventReader:
    """Reader that wakes each wait for an entry after some id.

    A wake may be early, and a stream that vanishes wakes its waits: read the stream again.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._waits: dict[str, dict[asyncio.Event, str]] = defaultdict(dict)
        self._wanted = asyncio.Event()
        self._looked = 0.0
        self.stopped = False

    async def grown(self, stream: str, after: str, *, seconds: float) -> bool:
        """Return whether `stream` has an entry after the id `after`, or has vanished, within `seconds`.

        After `stop` it does not wait.
        """
        if self.stopped:
            return False
        woken = asyncio.Event()
        self._waits[stream][woken] = after
        self._wanted.set()
        try:
            async with asyncio.timeout(seconds):
                return await woken.wait()
        except TimeoutError:
            return False
        finally:
            self._leave(stream, woken)

    def stop(self) -> None:
        """End all waits, now and from now on: the process is about to end."""
        self.stopped = True
        for woken in [each for waits in self._waits.values() for each in waits]:
            woken.set()

    async def run(self) -> None:
        """Serve all waits for ever."""
        while True:
            await self._wanted.wait()
            try:
                await self._read()
                await self._look()
                await asyncio.sleep(GATHER_SECONDS)
            except RedisError as error:
                logger.warning("event reader: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        earliest = {stream: min(waits.values(), key=position) for stream, waits in self._waits.items()}
        grown = await self._client.xread(earliest, count=1, block=BLOCK_MILLISECONDS)  # type: ignore[arg-type]
        for stream in grown or ():
            self._wake(name_of(stream))

    async def _look(self) -> None:
        """Wake the waits for streams that do not exist any more. One command suffices while all do."""
        streams, now = list(self._waits), time.monotonic()
        if not streams or now - self._looked < VANISHED_SECONDS:
            return
        self._looked = now
        if await self._client.exists(*streams) < len(streams):
            for stream in streams:
                if not await self._client.exists(stream):
                    self._wake(stream)

    def _wake(self, stream: str) -> None:
        for woken in self._waits.get(stream, {}):
            woken.set()

    def _leave(self, stream: str, woken: asyncio.Event) -> None:
        del self._waits[stream][woken]
        if not self._waits[stream]:
            del self._waits[stream]
        if not self._waits:
            self._wanted.clear()


def position(entry: str) -> tuple[int, int]:
    """Return a stream id as a pair of numbers, which sort as the stream does."""
    millisecond, _, sequence = entry.partition("-")
    return int(millisecond), int(sequence or 0)


def name_of(stream: object) -> str:
    """Return the stream's name from a row of XREAD's reply: a key in RESP3, a pair in RESP2."""
    name = stream[0] if isinstance(stream, list | tuple) else stream
    return name.decode() if isinstance(name, bytes) else str(name)
