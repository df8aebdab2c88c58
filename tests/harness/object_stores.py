"""An S3 server on this machine, and a gate before it that can be shut."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from service.local.processes import free_port
from tests.harness.launcher import ManagedProcess, answers

BUCKET = "results"
CHUNK_BYTES = 1 << 16


class S3Server(ManagedProcess):
    """`localbucket`: S3 over HTTP, always at one port. Its objects are files in `folder`, so they survive a kill."""

    def __init__(self, folder: Path, *, log: Path | None = None) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "localbucket", str(folder), "--port", str(self.port)]
        (folder / BUCKET).mkdir(parents=True, exist_ok=True)
        super().__init__(command, os.environ, log=log)

    def ready(self) -> bool:
        """Return whether it answers."""
        return answers(f"http://127.0.0.1:{self.port}/")


class Gate:
    """TCP proxy that, while it is shut, breaks connections at once, those that are open too."""

    def __init__(self, port: int) -> None:
        self._target, self.open = port, True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])

    def shut(self) -> None:
        """Let nothing through."""
        self.open = False
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Accept until closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self.open:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open = [client, server, *self._open]
                for pair in ((client, server), (server, client)):
                    Thread(target=pump, args=pair, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self.shut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass bytes on until one of the two ends."""
    with source, sink, suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            sink.sendall(data)


@contextmanager
def gated(port: int) -> Iterator[Gate]:
    """A gate before a port while this is open."""
    gate = Gate(port)
    thread = Thread(target=gate.serve)
    thread.start()
    try:
        yield gate
    finally:
        gate.close()
        thread.join()


@contextmanager
def credentials(port: int) -> Iterator[None]:
    """The environment of a client of the S3 server at `port`."""
    variables: dict[str, Any] = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield
