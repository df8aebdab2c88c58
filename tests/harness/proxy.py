"""A TCP proxy before Redis that can hold back a ticket: it opens the moment between a job's record and its delivery."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

CHUNK_BYTES = 1 << 16
PUSH = b"RPUSH"
"""RQ's command that puts a ticket into its queue; nothing else of ours uses it."""


class Sluice:
    """Proxy that passes everything, or after `hold_after` holds back all tickets after a number of them."""

    def __init__(self, redis_url: str) -> None:
        parts = urlsplit(redis_url)
        self._target = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock, self._left, self.held = Lock(), -1, Event()
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def hold_after(self, tickets: int) -> None:
        """Let so many tickets through, and none of those that follow; `held` is set once one waits."""
        with self._lock:
            self._left = tickets
            self.held.clear()

    def open(self) -> None:
        """Let all tickets through. One that is held stays where it is: its sender is dead."""
        self.hold_after(-1)

    def serve(self) -> None:
        """Accept until closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            Thread(target=self._pump, args=(client, server), daemon=True).start()
            Thread(target=self._pump, args=(server, client), daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with source, sink:
            try:
                while (data := source.recv(CHUNK_BYTES)) and not self._holds(data):
                    sink.sendall(data)
                while data:  # held: what still comes is dropped, until its sender goes
                    data = source.recv(CHUNK_BYTES)
            except OSError:
                return

    def _holds(self, data: bytes) -> bool:
        with self._lock:
            if PUSH not in data or self._left < 0:
                return False
            if self._left:
                self._left -= 1
                return False
            self.held.set()
            return True


@contextmanager
def sluice(redis_url: str) -> Iterator[Sluice]:
    """A proxy while this is open."""
    proxy = Sluice(redis_url)
    thread = Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
