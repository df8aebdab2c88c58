"""A connection to Redis that counts round trips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis


class CountingConnection(redis.Connection):
    """Counts writes to the socket, of all connections of this class together."""

    sends = 0

    def send_packed_command(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Do as redis-py."""
        CountingConnection.sends += 1
        super().send_packed_command(*args, **kwargs)  # type: ignore[no-untyped-call] # redis-py has no types here


@contextmanager
def counting_client(url: str) -> Iterator[redis.Redis]:
    """Yield a connected client whose round trips count from now on."""
    pool = redis.ConnectionPool.from_url(url, connection_class=CountingConnection)
    with redis.Redis(connection_pool=pool) as client:
        client.ping()
        CountingConnection.sends = 0
        yield client
    pool.close()
