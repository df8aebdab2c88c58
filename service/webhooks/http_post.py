"""One POST over HTTP/1.1, with a bound on everything that the receiver may send.

An HTTP client reads informational responses without end: one receiver that sent them kept the whole API busy. Here h11
parses, and each connection serves one request. A connection that stayed open would be known by its address alone, and
the certificate that was verified for one name would serve another.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.destinations import Target

CONNECT_SECONDS = 3
"""For TCP, and again for the TLS handshake."""

CLOSE_SECONDS = 1
"""For the receiver's part in the end of a TLS connection; then it is aborted."""

MAX_RESPONSE_BYTES = 32_768
"""Bytes of the response that are read at most, up to the end of its headers."""

READ_BYTES = 4096
MAX_INFORMATIONAL = 8
"""Responses 1xx before the final one."""


class ReceiverError(Exception):
    """Response that this sender does not read to its end."""


@dataclass(frozen=True, kw_only=True)
class ReceiverResponse:
    """Status and headers of a response, names in lower case. Its body is not read."""

    status: int
    headers: Mapping[str, str]


async def post(
    target: Target, address: str, *, body: bytes, headers: Mapping[str, str], tls: ssl.SSLContext
) -> ReceiverResponse:
    """Send `body` to `target` at one of its addresses. Raises OSError, h11.ProtocolError and ReceiverError.

    There is no limit on the time in all: that is the caller's.
    """
    protocol = h11.Connection(h11.CLIENT)
    sent = {"Host": target.authority, "Content-Length": str(len(body)), "Connection": "close", **headers}
    request = h11.Request(method="POST", target=target.resource, headers=list(sent.items()))
    async with connected(target, address, tls) as (reader, writer):
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            writer.write(protocol.send(event) or b"")
        await writer.drain()
        return await response_of(reader, protocol)


@asynccontextmanager
async def connected(
    target: Target, address: str, tls: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection to an address; TLS verifies the name. Closed in any case."""
    encrypted = target.scheme == "https"
    async with asyncio.timeout(2 * CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(
            address,
            target.port,
            limit=READ_BYTES,
            ssl=tls if encrypted else None,
            server_hostname=target.host if encrypted else None,
            ssl_handshake_timeout=CONNECT_SECONDS if encrypted else None,
            ssl_shutdown_timeout=CLOSE_SECONDS if encrypted else None,
        )
    try:
        yield reader, writer
    except BaseException:
        writer.transport.abort()  # close would wait for a receiver that reads nothing
        raise
    writer.close()


async def response_of(reader: asyncio.StreamReader, protocol: h11.Connection) -> ReceiverResponse:
    """Read the final response's headers. Raises ReceiverError over a bound, h11.ProtocolError, OSError."""
    received, informational = 0, 0
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(READ_BYTES)
            received += len(data)
            protocol.receive_data(data)
            if received > MAX_RESPONSE_BYTES:
                raise ReceiverError(f"the response's headers have over {MAX_RESPONSE_BYTES} bytes")
        elif isinstance(event, h11.InformationalResponse):
            informational += 1
            if informational > MAX_INFORMATIONAL:
                raise ReceiverError(f"over {MAX_INFORMATIONAL} informational responses (1xx) came first")
        elif isinstance(event, h11.Response):
            names = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            return ReceiverResponse(status=event.status_code, headers=names)
        else:
            raise ReceiverError("the receiver closed the connection without a response")
