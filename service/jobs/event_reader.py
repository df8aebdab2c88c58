"""Reader of new events: one blocking XREAD for all open waits of this process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

Entry = Sequence[Any]
"""An entry of a stream, as XRANGE returns it: id and fields."""

BLOCK_MILLISECONDS = 200
"""A wait that begins while XREAD blocks joins the next one: this is how late it may notice its first entry."""

GATHER_SECONDS = 0.02
"""Pause between reads. A read over hundreds of streams costs milliseconds; events during the pause share one."""

RETRY_SECONDS = 0.5

MOST_ENTRIES = 64
"""Entries of a stream in one read. What follows them comes with the next."""

VANISHED_SECONDS = 1.0
"""Time between two looks for streams that Redis has lost."""


class EventReader:
    """Reader that ends each wait with the entries that came after some id, read once for all waits.

    A wait may end without entries, as when its stream vanishes: read the stream itself then.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._waits: dict[str, dict[asyncio.Future[list[Entry]], str]] = defaultdict(dict)
        self._wanted = asyncio.Event()
        self._looked = 0.0
        self.stopped = False

    async def entries(self, stream: str, after: str, *, seconds: float) -> list[Entry] | None:
        """Return the next entries of `stream` after the id `after`, as XRANGE does; None if `seconds` pass without one.

        After `stop` it does not wait.
        """
        if self.stopped:
            return None
        woken: asyncio.Future[list[Entry]] = asyncio.get_running_loop().create_future()
        self._waits[stream][woken] = after
        self._wanted.set()
        try:
            async with asyncio.timeout(seconds):
                return await woken
        except TimeoutError:
            return None
        finally:
            self._leave(stream, woken)

    async def grown(self, stream: str, after: str, *, seconds: float) -> bool:
        """Return whether `stream` has an entry after the id `after`, or has vanished, within `seconds`."""
        return await self.entries(stream, after, seconds=seconds) is not None

    def stop(self) -> None:
        """End all waits, now and from now on: the process is about to end."""
        self.stopped = True
        for stream in self._waits:
            self._wake(stream)

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
        grown: Any = await self._client.xread(earliest, count=MOST_ENTRIES, block=BLOCK_MILLISECONDS)  # type: ignore[arg-type]
        for stream, entries in by_stream(grown):
            self._wake(stream, entries)

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

    def _wake(self, stream: str, entries: Sequence[Entry] = ()) -> None:
        """End the waits for `stream`, each with the entries that follow its id."""
        for woken, after in self._waits.get(stream, {}).items():
            if not woken.done():
                woken.set_result([each for each in entries if position(each[0].decode()) > position(after)])

    def _leave(self, stream: str, woken: asyncio.Future[list[Entry]]) -> None:
        del self._waits[stream][woken]
        if not self._waits[stream]:
            del self._waits[stream]
        if not self._waits:
            self._wanted.clear()


def position(entry: str) -> tuple[int, int]:
    """Return a stream id as a pair of numbers, which sort as the stream does."""
    millisecond, _, sequence = entry.partition("-")
    return int(millisecond), int(sequence or 0)


def by_stream(reply: Any) -> list[tuple[str, list[Entry]]]:  # noqa: ANN401 - of redis-py
    """Return streams and their entries from the reply to XREAD: pairs in RESP2, in RESP3 a mapping to a list of lists."""
    if isinstance(reply, dict):
        return [(name.decode(), [entry for part in parts for entry in part]) for name, parts in reply.items()]
    return [(name.decode(), entries) for name, entries in reply or ()]
