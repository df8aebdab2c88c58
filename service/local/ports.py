"""Ports of this machine: which are free, and which process holds one."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp."""


def is_free(port: int) -> bool:
    """Return whether a server can listen on `port` of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listener_of(port: int) -> int | None:
    """Return the id of the process that listens on `port`, or None if this user cannot know it."""
    sockets = {f"socket:[{inode}]" for inode in inodes_of(port)}
    for descriptor in PROC.glob("[0-9]*/fd/*") if sockets else ():
        with suppress(OSError):  # of another user, or just closed
            if str(descriptor.readlink()) in sockets:
                return int(descriptor.parts[2])
    return None


def inodes_of(port: int) -> set[str]:
    """Return the inodes of the sockets that listen on `port`."""
    found = set[str]()
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            rows = [line.split() for line in (PROC / "net" / name).read_text().splitlines()[1:]]
            found |= {row[9] for row in rows if row[3] == LISTEN and int(row[1].rpartition(":")[2], 16) == port}
    return found


def command_of(pid: int) -> str:
    """Return the command line of a process, shortened; empty if this user cannot know it."""
    with suppress(OSError):
        words = (PROC / str(pid) / "cmdline").read_text().split("\0")
        return " ".join(words).strip()[:60]
    return ""
