"""A sender of webhooks in the test's own loop, and jobs that have deliveries for it."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import redis
from redis.asyncio import Redis as AsyncRedis

from service.contract.redis_keys import OUTBOX
from service.contract.request import JobRequest, Webhook
from service.contract.statuses import WebhookEvent
from service.contract.transitions import Transitions, cancel, create
from service.destinations import Destinations, Resolve
from service.supervisor import stop
from service.webhooks.outbox import Outbox
from service.webhooks.retry_schedule import RetrySchedule
from service.webhooks.sender import Sender
from service.webhooks.signature import WebhookSecrets
from tests.harness.drawing import a_request
from tests.harness.receiver import eventually

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SECRETS = WebhookSecrets.parse(SECRET)
QUICK = RetrySchedule(poll_seconds=0.02, first_seconds=0.05, longest_seconds=0.1, total_seconds=30)


@dataclass(frozen=True, kw_only=True)
class SenderSetup:
    """What a sender needs: its outbox, and the hosts that it may send to."""

    redis_url: str
    allowed: Sequence[str]
    resolve: Resolve | None = None
    hidden_seconds: float = 30
    schedule: RetrySchedule = QUICK
    tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run one sender until the end of the block."""
        async with AsyncRedis.from_url(self.redis_url) as client:
            outbox = Outbox(client, hidden_seconds=self.hidden_seconds)
            destinations = Destinations(self.allowed, self.resolve)
            sender = Sender(outbox, destinations, secrets=SECRETS, schedule=self.schedule, tls=self.tls)
            task = asyncio.create_task(sender.run())
            try:
                yield task
            finally:
                await stop([task])

    def send(self, done: Callable[[], bool], *, seconds: float = 60) -> None:
        """Run one sender until `done`."""

        async def send() -> None:
            async with self.sending():
                await eventually(done, seconds=seconds)

        asyncio.run(send())


def hooked(url: str, *events: WebhookEvent, owner: str = "") -> JobRequest:
    """Return a request with a webhook for `events`, or for all."""
    webhook = Webhook(url=url, events=events or tuple(WebhookEvent))
    return replace(a_request(), webhook=webhook, metadata={"order": 7, "none": None}, owner=owner)


def canceled_job(store: redis.Redis, url: str, *, owner: str = "") -> JobRequest:
    """Return the request of a job with one delivery in the outbox."""
    transitions, request = Transitions(store), hooked(url, WebhookEvent.CANCELED, owner=owner)
    transitions(create(request, bound=10_000))
    transitions(cancel(request.keys))
    return request


def empty(store: redis.Redis) -> Callable[[], bool]:
    """Return a function that says whether no delivery is left."""
    return lambda: not [key for key in store.keys(f"{OUTBOX}:*") if key != f"{OUTBOX}:totals".encode()]


def attempts(store: redis.Redis) -> int:
    """Return the number of attempts at the only delivery."""
    (delivery,) = store.keys(f"{OUTBOX}:msg_*")
    return int(store.hget(delivery, "attempts") or 0)
