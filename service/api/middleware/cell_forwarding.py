"""Requests that belong to another cell are sent on to it (docs/decisions/027-cells.md).

The path names the cell of a job. For a submit the endpoint decides, and raises OtherCellError.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import httpx
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem, refused
from service.cells.cell_map import CELL_HEADER, CellMap
from service.cells.peers import CellRequest, Peers, end_to_end
from service.errors import CellUnavailableError

logger = logging.getLogger(__name__)

OF_SERVER = frozenset({b"date", b"server"})
"""Headers that every server adds to a response by itself."""

MISDIRECTED = "This API process is of another cell than the request. Send no X-SPN-Cell header."


class CellForwarding:
    """Pure ASGI middleware, outside of the access log: the cell that answers writes the line, under the same request id."""

    def __init__(self, app: ASGIApp, *, cells: CellMap, peers: Peers) -> None:
        self._app, self._cells, self._peers = app, cells, peers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer here, or send on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named, of_path = Headers(scope=scope).get(CELL_HEADER), self._cells.of_path(scope["path"])
        if named is not None and named != self._cells.own:
            await problem(Request(scope), status=421, detail=MISDIRECTED)(scope, receive, send)
        elif named is None and of_path != self._cells.own:
            await self._forward(of_path, scope, b"", receive, send)  # no request about a job has a body
        else:
            await self._here(scope, receive, send)

    async def _here(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer, unless an endpoint finds that the request belongs to another cell."""
        body, cell = bytearray(), ""

        async def recorded() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def watched(message: Message) -> None:
            nonlocal cell
            if message["type"] == "http.response.start":
                cell = scope["state"].get("cell", "")
            if not cell:
                await send(message)

        await self._app(scope, recorded, watched)
        if cell:
            await self._forward(cell, scope, bytes(body), receive, send)

    async def _forward(self, cell: str, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Answer with the response of another cell, as it comes, for as long as the caller is there."""
        relay = asyncio.create_task(self._relay(cell, scope, body, receive, send))
        gone = asyncio.create_task(disconnected(receive))
        try:
            await asyncio.wait({relay, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (relay, gone):
                task.cancel()
        with suppress(asyncio.CancelledError):
            await relay

    async def _relay(self, cell: str, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        request = CellRequest(
            cell=cell,
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"],
            headers=with_scheme(scope),
            body=body,
        )
        try:
            response = await self._peers.opened(request)
        except CellUnavailableError as error:
            await refused(Request(scope), error)(scope, receive, send)
            return
        try:
            headers = end_to_end(response.headers.raw, without=OF_SERVER)
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            streams = response.headers.get("content-type", "").startswith("text/event-stream")
            chunks = response.aiter_raw()
            async for chunk in self._peers.until_stopped(chunks) if streams else chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except httpx.TransportError as error:  # the response stays incomplete, and the server cuts the connection
            logger.warning("cell %s: %s in the middle of a response", cell, type(error).__name__)
        finally:
            await response.aclose()


async def disconnected(receive: Receive) -> None:
    """Return when the caller has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def with_scheme(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request. The scheme that its caller used begins absolute URLs."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if any(name == b"x-forwarded-proto" for name, _ in headers):
        return headers
    return [*headers, (b"x-forwarded-proto", scope["scheme"].encode())]
