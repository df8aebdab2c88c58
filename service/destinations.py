"""Where webhooks may go: public addresses by https, and what the operator allows besides.

A name is looked up once for each attempt, every address it has is judged, and the connection goes to one of exactly
these. So a name that points somewhere else a moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Self
from urllib.parse import urlsplit

import httpx

from service.errors import DestinationError

MAX_URL_LENGTH = 2048
PORTS = {"http": 80, "https": 443}
GLOBAL_UNICAST = IPv6Network("2000::/3")
LOOKUPS = 32
"""Names looked up at the same time: more than deliveries go to one host, whose name server may be slow."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""All addresses of a host. Raises OSError if it has none."""


@dataclass(frozen=True, kw_only=True)
class AllowedHost:
    """A host that the operator vouches for: a name, an address, or `*.` and a domain; at one port or at all."""

    host: str
    port: int | None

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """From `host` or `host:port`. Raises ValueError."""
        parts = urlsplit(f"//{pattern}")
        if not parts.hostname or parts.netloc != pattern or "@" in pattern:
            raise ValueError(f"{pattern!r} is no host or host:port")
        return cls(host=parts.hostname, port=parts.port)

    def covers(self, host: str, port: int) -> bool:
        """Whether this is meant."""
        same = host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host
        return same and self.port in {None, port}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A URL taken apart."""

    url: httpx.URL
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises DestinationError for what is no http(s) URL, is too long, or carries a user."""
        if len(text) > MAX_URL_LENGTH:
            raise DestinationError(f"at most {MAX_URL_LENGTH} characters")
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL as error:
            raise DestinationError(f"no URL: {error}") from None
        if url.scheme not in PORTS or not url.host:
            raise DestinationError("expected https:// and a host")
        if url.userinfo:
            raise DestinationError("a URL with a user or password is not accepted")
        return cls(url=url, host=url.raw_host.decode(), port=url.port or PORTS[url.scheme])

    def pinned(self, address: str) -> httpx.URL:
        """The same by address."""
        return self.url.copy_with(host=address)


class Destinations:
    """The judge of webhook URLs."""

    def __init__(self, allowed: Iterable[str], resolve: Resolve | None = None) -> None:
        self._allowed = tuple(AllowedHost.parse(pattern) for pattern in allowed)
        self._resolve = resolve or Resolver()

    def check(self, text: str) -> Target:
        """What can be said without a look-up. Raises DestinationError."""
        target = Target.parse(text)
        if not self._vouched(target):
            if target.url.scheme != "https":
                raise DestinationError("expected https://")
            refuse_private(literal(target.host))
        return target

    async def addresses(self, target: Target) -> Sequence[str]:
        """All addresses of `target`, each of them allowed. Raises DestinationError, and OSError if it has none."""
        found = await self._resolve(target.host, target.port)
        if not self._vouched(target):
            refuse_private(found)
        return found

    def _vouched(self, target: Target) -> bool:
        return any(allowed.covers(target.host, target.port) for allowed in self._allowed)


class Resolver:
    """The system's resolver, in threads of its own: a slow name server holds up webhooks and nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="lookup")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """All addresses of `host`, the best first. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, looked_up, host, port)


def looked_up(host: str, port: int, flags: int = 0) -> list[str]:
    """The addresses of a host, each once. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:  # a label that is too long
        raise OSError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def literal(host: str) -> list[str]:
    """The address that `host` spells, in any of the notations that the system takes; none for a name."""
    try:
        return looked_up(host, 0, socket.AI_NUMERICHOST)
    except OSError:
        return []


def refuse_private(addresses: Iterable[str]) -> None:
    """Raises DestinationError if any of them is not on the public Internet."""
    for address in addresses:
        if not is_public(address):
            raise DestinationError(f"{address} is no public address")


def is_public(text: str) -> bool:
    """Whether an address is global and unicast, and no way to smuggle in an IPv4 address that is not."""
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    if address.ipv4_mapped:
        return is_public(str(address.ipv4_mapped))
    return address.is_global and address in GLOBAL_UNICAST and not tunnels(address)


def tunnels(address: IPv6Address) -> bool:
    """Whether it stands for an IPv4 address behind a 6to4 or Teredo gateway."""
    return address.sixtofour is not None or address.teredo is not None
