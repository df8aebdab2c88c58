"""HTTP to the APIs of other cells."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from service.api.schemas import JobPage
from service.cells.cell_map import CELL_HEADER, CellMap
from service.errors import CellUnavailableError

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 2
ANSWER_SECONDS = 660
"""Above the longest wait of a request: OpenAI's clients wait for 600 s."""

LIST_SECONDS = 5

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers of one connection (RFC 9110, section 7.6.1)."""


@dataclass(frozen=True, kw_only=True)
class CellRequest:
    """Request to a cell, as its caller sent it. `path` has no prefix and is not escaped."""

    cell: str
    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes = b""


class Peers:
    """Client of the other cells."""

    def __init__(self, cells: CellMap) -> None:
        self._cells = cells
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        self._http = httpx.AsyncClient(limits=limits, trust_env=False)
        self._stopping = asyncio.Event()

    async def opened(self, request: CellRequest, *, seconds: float = ANSWER_SECONDS) -> httpx.Response:
        """Return the response of a cell. Its body is not read yet: close it. Raises CellUnavailableError."""
        target = quote(request.path).encode() + (b"?" + request.query if request.query else b"")
        passed = end_to_end(request.headers, without=(b"content-length", CELL_HEADER.lower().encode()))
        sent = httpx.Request(
            request.method,
            httpx.URL(self._cells.urls[request.cell]).copy_with(raw_path=target),
            headers=[*passed, (CELL_HEADER.encode(), request.cell.encode())],
            content=request.body,
            extensions={"timeout": httpx.Timeout(seconds, connect=CONNECT_SECONDS).as_dict()},
        )
        try:
            return await self._http.send(sent, stream=True)
        except httpx.TransportError as error:
            logger.warning("cell %s: %s %s", request.cell, type(error).__name__, error)
            raise CellUnavailableError(request.cell) from None

    async def jobs(self, cell: str, *, query: bytes, headers: Headers) -> JobPage | None:
        """Return a page of the jobs of another cell; None if it does not answer in time, or not with a page."""
        request = CellRequest(cell=cell, method="GET", path="/jobs", query=query, headers=headers)
        try:
            response = await self.opened(request, seconds=LIST_SECONDS)
            try:
                return JobPage.model_validate_json(await response.raise_for_status().aread())
            finally:
                await response.aclose()
        except (CellUnavailableError, httpx.HTTPError, ValidationError) as error:
            logger.warning("cell %s is missing in a list: %s", cell, type(error).__name__)
            return None

    def stop(self) -> None:
        """End all streams, now and from now on: the process is about to end."""
        self._stopping.set()

    async def until_stopped(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the chunks of an event stream until it ends, or until `stop`."""
        stopping = asyncio.create_task(self._stopping.wait())
        following = asyncio.create_task(next_of(chunks))
        try:
            while not self._stopping.is_set():
                await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    if (chunk := following.result()) is None:
                        return
                    yield chunk
                    following = asyncio.create_task(next_of(chunks))
        finally:
            stopping.cancel()
            following.cancel()
            with suppress(asyncio.CancelledError, httpx.TransportError):
                await following

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


async def next_of(chunks: AsyncIterator[bytes]) -> bytes | None:
    """Return the next chunk, or None at the end."""
    return await anext(chunks, None)


def end_to_end(headers: Iterable[tuple[bytes, bytes]], *, without: Collection[bytes]) -> Headers:
    """Return the headers that are passed on, `without` some more."""
    return [(name, value) for name, value in headers if name.lower() not in {*HOP_BY_HOP, *without}]
