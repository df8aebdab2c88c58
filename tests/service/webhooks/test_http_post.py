"""One POST to receivers that misbehave, over real connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import h11
import pytest

from service.destinations import Target
from service.webhooks.http_post import MAX_INFORMATIONAL, MAX_RESPONSE_BYTES, ReceiverError, ReceiverResponse, post

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TLS = ssl.create_default_context()
INFORMATIONAL = b"HTTP/1.1 100 Continue\r\n\r\n"
BODY = b'{"type": "job.succeeded"}'


def posted(answer: Answer) -> ReceiverResponse:
    """Return the response of a receiver that answers with `answer`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                await reader.readuntil(BODY)
                await answer(reader, writer)
        finally:
            writer.transport.abort()

    async def scene() -> ReceiverResponse:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            target = Target.parse(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?token=secret")
            try:
                return await post(target, "127.0.0.1", body=BODY, headers={"webhook-id": "msg_1"}, tls=TLS)
            finally:
                await asyncio.sleep(0.01)  # until both ends are closed

    return asyncio.run(scene())


def test_a_response_is_status_and_headers() -> None:
    """The names of headers are in lower case; some informational responses may come first."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFORMATIONAL * MAX_INFORMATIONAL + b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\n")
        await writer.drain()

    response = posted(answer)
    assert (response.status, response.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize(
    ("endless", "error"),
    [
        (INFORMATIONAL, ReceiverError),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", ReceiverError),
        (b"a" * 100, (ReceiverError, h11.RemoteProtocolError)),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 100, (ReceiverError, h11.RemoteProtocolError)),
    ],
)
def test_an_endless_response_is_cut_off(endless: bytes, error: type[Exception]) -> None:
    """After a bounded number of bytes, so it costs no time that others need."""
    sent = 0

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(endless)
            sent += len(endless)
            await writer.drain()

    with pytest.raises(error):
        posted(answer)
    assert sent < 8_000_000  # what the system's buffers of one connection hold, not what was read


@pytest.mark.parametrize(
    "first",
    [INFORMATIONAL * (MAX_INFORMATIONAL + 1), 4 * (b"HTTP/1.1 103 Hints\r\nLink: " + b"a" * 10_000 + b"\r\n\r\n")],
)
def test_what_comes_before_the_response_is_bounded(first: bytes) -> None:
    """By number and by bytes, even if a good response follows."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first + b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)

    with pytest.raises(ReceiverError):
        posted(answer)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n", b"not HTTP at all\r\n\r\n"])
def test_a_response_cut_short_is_an_error(start: bytes) -> None:
    """Not a success."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        await writer.drain()
        writer.close()
        await asyncio.sleep(0.05)

    with pytest.raises((ReceiverError, h11.RemoteProtocolError, OSError)):
        posted(answer)


def test_headers_within_the_bound_are_read() -> None:
    """Half of it is fine."""
    padding = b"X-Padding: " + b"a" * 1000 + b"\r\n"

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 204 No Content\r\n" + padding * (MAX_RESPONSE_BYTES // 4000) + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)

    assert posted(answer).status == 204
