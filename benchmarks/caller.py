"""A client with little overhead: HTTP/1.1 over plain asyncio streams, limited to what the API uses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

OK = 200
ACCEPTED = 202
INVALID = 422
LAST_CHUNK = b"0\r\n"


class UnexpectedStatusError(Exception):
    """A response with another status than the expected one."""


@dataclass(frozen=True, kw_only=True)
class StreamEvent:
    """One event of a stream; `id` begins with the millisecond at which it was written."""

    kind: str
    id: str


class Caller:
    """A client with one connection, which is opened again when it breaks."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def submit(self, body: bytes = b"{}") -> str:
        """Submit a job; return its id. Raises UnexpectedStatusError."""
        return str((await self._exchange(b"POST /generate", body, ACCEPTED))["id"])

    async def refused(self, body: bytes) -> None:
        """Submit a body that is not valid. Raises UnexpectedStatusError if it is not refused as such."""
        await self._exchange(b"POST /generate", body, INVALID)

    async def poll(self, job: str) -> dict[str, Any]:
        """Return the state of a job. Raises UnexpectedStatusError."""
        return await self._exchange(f"GET /jobs/{job}".encode(), b"", OK)

    async def file(self, path: str) -> bytes:
        """Return the content at a path. Raises UnexpectedStatusError."""
        return await self._answer(f"GET {path}".encode(), b"", OK)

    def close(self) -> None:
        """Close the connection."""
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, start: bytes, body: bytes, expected: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self._answer(start, body, expected))
        return found

    async def _answer(self, start: bytes, body: bytes, expected: int) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(request(start, body))
            status, length = await head(reader)
            answer = await reader.readexactly(length)
        except BaseException:
            self.close()
            raise
        if status != expected:
            raise UnexpectedStatusError(f"{start.decode()}: {status} {answer.decode(errors='replace')}")
        return answer


async def submitted(port: int) -> str:
    """Submit a job over a new connection, since the API closes idle ones; return the id."""
    caller = Caller(port)
    try:
        return await caller.submit()
    finally:
        caller.close()


async def events(port: int, job: str) -> AsyncIterator[StreamEvent]:
    """Yield the events of a job until the stream ends. The API sends each in one chunk, so no line is split."""
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


def request(start: bytes, body: bytes) -> bytes:
    """Return the bytes of a request."""
    headers = b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    return start + headers + body


async def head(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Return the first line's second word, a status, and Content-Length; 0 for either without one."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    lengths = (int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
    word = first.split()[1]
    return int(word) if word.isdigit() else 0, next(lengths, 0)
