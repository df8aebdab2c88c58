"""A caller that costs little: HTTP/1.1 over plain asyncio streams, just as much of it as the API speaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

OK = 200
ACCEPTED = 202
LAST_CHUNK = b"0\r\n"


class UnexpectedStatusError(Exception):
    """An answer other than the one wanted."""


@dataclass(frozen=True, kw_only=True)
class StreamEvent:
    """One event of a stream; `id` begins with the millisecond at which it was written."""

    kind: str
    id: str


class Caller:
    """One connection that is kept and opened again where it breaks."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def submit(self) -> str:
        """A new job's id. Raises UnexpectedStatusError."""
        return str((await self._asked(b"POST /generate", b"{}", ACCEPTED))["id"])

    async def poll(self, job: str) -> dict[str, Any]:
        """How a job stands. Raises UnexpectedStatusError."""
        return await self._asked(f"GET /jobs/{job}".encode(), b"", OK)

    def close(self) -> None:
        """Hang up."""
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def _asked(self, what: bytes, body: bytes, wanted: int) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(request(what, body))
            status, length = await head(reader)
            answer = await reader.readexactly(length)
        except BaseException:
            self.close()
            raise
        if status != wanted:
            raise UnexpectedStatusError(f"{what.decode()}: {status} {answer.decode()}")
        found: dict[str, Any] = json.loads(answer)
        return found


async def submitted(port: int) -> str:
    """A new job's id, over a connection of its own: the API hangs up where nothing is said for a while."""
    caller = Caller(port)
    try:
        return await caller.submit()
    finally:
        caller.close()


async def events(port: int, job: str) -> AsyncIterator[StreamEvent]:
    """The events of a job until the stream ends. The API sends each as one chunk, so no line is cut in two."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request(f"GET /jobs/{job}/events".encode(), b""))
        if (status := (await head(reader))[0]) != OK:
            raise UnexpectedStatusError(f"events of {job}: {status}")
        kind = ""
        while (line := await reader.readline()) not in {b"", LAST_CHUNK}:
            name, _, value = line.decode().rstrip().partition(": ")
            if name == "event":
                kind = value
            elif name == "id":
                yield StreamEvent(kind=kind, id=value)
    finally:
        writer.close()


def request(what: bytes, body: bytes) -> bytes:
    """A request on the wire."""
    headers = b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return what + headers + body


async def head(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Status and Content-Length, 0 without one."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    lengths = (int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
    return int(first.split()[1]), next(lengths, 0)
