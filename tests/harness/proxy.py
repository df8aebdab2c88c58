"""A TCP proxy before Redis that can hold back a submit, or the answer to it, so that its sender can be killed meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

CHUNK_BYTES = 1 << 16
PUSH = b"RPUSH"
"""RQ's command that puts a ticket into its queue. It is an argument of the call that makes a job (decision 035)."""


class Withheld(Enum):
    """What is held back: a call, which Redis never sees, or the answer to it."""

    CALL = "call"
    ANSWER = "answer"


class Sluice:
    """Proxy that passes everything, or after `hold_after` holds back all submits after a number of them."""

    def __init__(self, redis_url: str) -> None:
        parts = urlsplit(redis_url)
        self._target = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock, self._left, self._side, self.held = Lock(), -1, Withheld.CALL, Event()
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def hold_after(self, submits: int, side: Withheld = Withheld.CALL) -> None:
        """Let so many submits through, and none of those that follow; `held` is set once one waits."""
        with self._lock:
            self._left, self._side = submits, side
            self.held.clear()

    def open(self) -> None:
        """Let all submits through. One that is held stays where it is: its sender is dead."""
        self.hold_after(-1)

    def serve(self) -> None:
        """Accept until closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server, mute = socket.create_connection(self._target), Event()
            Thread(target=self._pass_calls, args=(client, server, mute), daemon=True).start()
            Thread(target=self._pass_answers, args=(server, client, mute), daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass_calls(self, caller: socket.socket, server: socket.socket, mute: Event) -> None:
        with caller, server, suppress(OSError):
            while data := caller.recv(CHUNK_BYTES):
                if self._holds(data):
                    mute.set()
                if mute.is_set() and self._side is Withheld.CALL:
                    self.held.set()
                else:
                    server.sendall(data)

    def _pass_answers(self, server: socket.socket, caller: socket.socket, mute: Event) -> None:
        with server, caller, suppress(OSError):
            while data := server.recv(CHUNK_BYTES):
                if mute.is_set():
                    self.held.set()
                else:
                    caller.sendall(data)

    def _holds(self, data: bytes) -> bool:
        with self._lock:
            if PUSH not in data or self._left < 0:
                return False
            if self._left:
                self._left -= 1
                return False
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
