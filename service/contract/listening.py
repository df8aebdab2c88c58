"""Addresses of this machine where a server can listen."""

from __future__ import annotations

import socket
from typing import Annotated

from pydantic import AfterValidator


def listening_address(value: str) -> str:
    """Return `value`, if a server can listen there. Raises ValueError."""
    try:
        check_listening(value)
    except OSError:
        raise ValueError("expected an address of this machine, such as 127.0.0.1, 0.0.0.0 or ::1") from None
    return value


def check_listening(host: str, port: int = 0) -> None:
    """Raise OSError unless a server can listen on this port of every address of `host`; port 0 is any free one."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:  # an empty label, or one that is too long
        raise OSError(str(error)) from error
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)


ListeningAddress = Annotated[str, AfterValidator(listening_address)]
"""An address of this machine, or a name of one."""
