"""Redis clients of the API: a Redis that hangs costs a bounded time, whatever state the connections are in."""

from __future__ import annotations

import socket

import redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

CONNECTIONS = 64
"""Requests beyond these wait for one of them. The plain pool's limit is an error: 200 submits at once were 503s."""

REDIS_SECONDS = 5
"""How long one reply of Redis is waited for before the answer is 503."""

# The kernel notices a peer that is gone after 5 + 3 * 2 s, also on a connection that nobody uses.
KEEPALIVE_SECONDS = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
KEEPALIVE = {getattr(socket, name): value for name, value in KEEPALIVE_SECONDS.items() if hasattr(socket, name)}


def async_client(url: str, *, seconds: float = REDIS_SECONDS) -> AsyncRedis:
    """Return the client of requests and background tasks. It retries once, on a connection that Redis has closed."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        socket_keepalive=True,
        socket_keepalive_options=KEEPALIVE,
        retry=AsyncRetry(NoBackoff(), retries=1, supported_errors=(redis.ConnectionError,)),
    )
    return AsyncRedis.from_pool(pool)


def blocking_client(url: str, *, seconds: float = REDIS_SECONDS) -> redis.Redis:
    """Return the client of RQ's calls, with the same bounds. redis-py's own default retries ten times."""
    return redis.Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        socket_keepalive=True,
        socket_keepalive_options=KEEPALIVE,
        retry=Retry(NoBackoff(), retries=1, supported_errors=(redis.ConnectionError,)),
    )
