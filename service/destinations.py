"""Destinations of webhooks: public addresses by https, and the hosts that the operator allows besides.

A name is resolved once for each attempt, and all its addresses are checked. The connection goes to one of these, so a
name that changes in between has no effect.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Thread
from typing import Self
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_core import Url

from service.errors import DestinationError

MAX_URL_LENGTH = 2048
MAX_HOST_LENGTH = 253
PORTS = range(1, 65_536)
WRITTEN_URL = re.compile(r"https?://[^/?#\\][^\x00-\x20\x7f]*", re.IGNORECASE)
"""Forms that the parser would repair, such as `https:///host` or a line break, are refused instead."""

NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
GLOBAL_UNICAST = IPv6Network("2000::/3")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Function that returns all addresses of a host. Raises OSError if it has none."""


@dataclass(frozen=True, kw_only=True)
class AllowedHost:
    """Host that the operator allows: a name, an address, or `*.` and a domain; at one port, or with None at all."""

    host: str
    port: int | None

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """Read `host` or `host:port`. Raises ValueError."""
        parts = urlsplit(f"//{pattern}")
        host = parts.hostname or ""
        if parts.netloc != pattern or "@" in pattern or not is_host(host.removeprefix("*.")) or parts.port == 0:
            raise ValueError(f"expected a host, host:port or *.domain, got {pattern!r}")
        return cls(host=host, port=parts.port)

    def covers(self, host: str, port: int) -> bool:
        """Return whether this pattern allows `host` at `port`."""
        same = host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host
        return same and self.port in {None, port}


@dataclass(frozen=True, kw_only=True)
class Target:
    """Parts of a webhook URL. `authority` is the value of the Host header, `resource` the path with its query."""

    scheme: str
    host: str
    port: int
    authority: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an http or https URL. Raises DestinationError if it is none, is too long or has a user."""
        if len(text) > MAX_URL_LENGTH:
            raise DestinationError(f"expected at most {MAX_URL_LENGTH} characters, got {len(text)}")
        if not WRITTEN_URL.fullmatch(text):
            raise DestinationError("expected https:// and a host, without spaces and control characters")
        try:
            url = Url(text)
        except ValidationError as error:
            raise DestinationError(f"not a valid URL: {error.errors()[0]['msg'].rpartition(', ')[2]}") from None
        host, port = (url.host or "").strip("[]").removesuffix("."), url.port or 0
        if url.username or url.password:
            raise DestinationError("a URL with a user or password is not accepted")
        if not is_host(host) or port not in PORTS:
            raise DestinationError(
                "no host can have this name or port: expected https://example.com or https://example.com:8443"
            )
        authority = f"[{host}]" if ":" in host else host
        if port != {"http": 80, "https": 443}[url.scheme]:
            authority += f":{port}"
        resource = (url.path or "/") + (f"?{url.query}" if url.query else "")
        return cls(scheme=url.scheme, host=host, port=port, authority=authority, resource=resource)


class Destinations:
    """Check of webhook URLs against the public Internet and the operator's list."""

    def __init__(self, allowed: Iterable[str], resolve: Resolve | None = None) -> None:
        self._allowed = tuple(AllowedHost.parse(pattern) for pattern in allowed)
        self._resolve = resolve or Resolver()

    def check(self, text: str) -> Target:
        """Return the parts of a URL, checked without resolving its name. Raises DestinationError."""
        target = Target.parse(text)
        if not self._is_allowed(target):
            if target.scheme != "https":
                raise DestinationError("expected https://")
            if is_address(target.host):
                refuse_private([target.host])
        return target

    async def addresses(self, target: Target) -> Sequence[str]:
        """Return all addresses of `target`. Raises DestinationError if one is not allowed, OSError if it has none."""
        found = await self._resolve(target.host, target.port)
        if not self._is_allowed(target):
            refuse_private(found)
        return found

    def _is_allowed(self, target: Target) -> bool:
        return any(allowed.covers(target.host, target.port) for allowed in self._allowed)


class Resolver:
    """The system's resolver. Each look-up has its own thread, because a silent name server holds it for half a minute.

    The caller bounds their number. A thread that is still waiting does not delay the end of the process.
    """

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return all addresses of `host`, the best first. Raises OSError."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def report(addresses: list[str], error: Exception | None) -> None:
            if not found.done():
                found.set_exception(error) if error else found.set_result(addresses)

        def look_up() -> None:
            addresses: list[str] = []
            problem: Exception | None = None
            try:
                addresses = resolved(host, port)
            except Exception as error:  # noqa: BLE001 - it belongs to the caller
                problem = error
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(report, addresses, problem)

        Thread(target=look_up, name="look-up", daemon=True).start()
        return await found


def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host, each once. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is too long
        raise OSError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_host(text: str) -> bool:
    """Return whether `text` is an address, or a name that DNS can have."""
    return is_address(text) or (len(text) <= MAX_HOST_LENGTH and bool(NAME.fullmatch(text)))


def is_address(text: str) -> bool:
    """Return whether `text` is an IPv4 or IPv6 address. The URL parser has normalised its other notations."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def refuse_private(addresses: Iterable[str]) -> None:
    """Raise DestinationError if any of them is not on the public Internet."""
    for address in addresses:
        if not is_public(address):
            raise DestinationError(f"{address} is not a public address")


def is_public(text: str) -> bool:
    """Return whether an address is global and unicast, and does not embed an IPv4 address that is not."""
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    if address.ipv4_mapped:
        return is_public(str(address.ipv4_mapped))
    return address.is_global and address in GLOBAL_UNICAST and not is_tunnel(address)


def is_tunnel(address: IPv6Address) -> bool:
    """Return whether it stands for an IPv4 address behind a 6to4 or Teredo gateway."""
    return address.sixtofour is not None or address.teredo is not None
