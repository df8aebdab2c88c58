"""The sender of webhooks: one task that takes deliveries from the outbox and posts them, a few at a time.

A delivery that is not answered with 2xx is made again, later and later, for an hour; its id stays the same. A process
that dies leaves its deliveries in the outbox, where they are due again soon.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
from redis.exceptions import RedisError

from service.errors import DestinationError
from service.webhooks.payload import WebhookPayload
from service.webhooks.signature import signed

if TYPE_CHECKING:
    import ssl

    from service.destinations import Destinations, Target
    from service.webhooks.outbox import Delivery, Outbox

logger = logging.getLogger(__name__)

AT_ONCE = 128
"""Deliveries on their way at the same time."""

PER_HOST = 16
"""Of these to one host: one that is slow takes an eighth of the room, whatever waits for it."""

ATTEMPT_SECONDS = 10
CONNECT_SECONDS = 3
"""Each for TCP and TLS. httpx closes a connection that it gives up itself; one that is cancelled from outside during its
TLS handshake stays open (httpcore 1.0 closes it for an Exception, which a cancellation is not).
"""

HIDDEN_SECONDS = 3 * ATTEMPT_SECONDS
"""A delivery whose sender is silent for this long is made again."""

USER_AGENT = "subscale-webhooks/1"


@dataclass(frozen=True, kw_only=True)
class RetrySchedule:
    """How often to look for deliveries, and when to make a failed one again: after `first_seconds`, twice that, and so
    on up to `longest_seconds`, each time up to half of it less by chance, until `total_seconds` after the first attempt.
    """

    poll_seconds: float = 0.5
    first_seconds: float = 4
    longest_seconds: float = 600
    total_seconds: float = 3600

    def pause(self, attempt: int, *, crowded: bool = False) -> float:
        """Seconds from attempt number `attempt` to the next. `crowded`: there was no room for it, soon there will be."""
        first_seconds = self.poll_seconds if crowded else self.first_seconds
        longest = min(self.longest_seconds, first_seconds * 2.0 ** min(attempt - 1, 62))
        return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing


class Sender:
    """Posts what is in the outbox. Its `key` signs; `tls` says whose certificates count."""

    def __init__(
        self,
        outbox: Outbox,
        destinations: Destinations,
        *,
        key: bytes,
        schedule: RetrySchedule | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._outbox, self._destinations, self._key = outbox, destinations, key
        self._schedule, self._tls = schedule or RetrySchedule(), tls or httpx.create_ssl_context()
        self._slots, self._underway = asyncio.Semaphore(AT_ONCE), Counter[str]()

    async def run(self) -> None:
        """Send, for ever. Cancelled in the middle of a delivery it leaves that one in the outbox."""
        async with client(self._tls) as http, asyncio.TaskGroup() as underway:
            while True:
                await self._slots.acquire()
                if delivery := await self._next():
                    underway.create_task(self._see_to(delivery, http))
                else:
                    self._slots.release()
                    await asyncio.sleep(self._schedule.poll_seconds)

    async def _next(self) -> Delivery | None:
        try:
            return await self._outbox.take()
        except RedisError as error:
            logger.warning("outbox: %s", error)
        except ValueError:
            logger.exception("a delivery in the outbox cannot be read")
        return None

    async def _see_to(self, delivery: Delivery, http: httpx.AsyncClient) -> None:
        """One attempt and what follows from it. If that cannot be written down the delivery is made again."""
        try:
            await self._conclude(delivery, await self._in_turn(delivery, http))
        except RedisError as error:
            logger.warning("outcome of delivery %s is lost: %s", delivery.id, error)
        except Exception:
            logger.exception("delivery %s", delivery.id)
        finally:
            self._slots.release()

    async def _in_turn(self, delivery: Delivery, http: httpx.AsyncClient) -> AttemptResult:
        """An attempt, if its host has room for it."""
        host = host_of(delivery)
        if self._underway[host] >= PER_HOST:
            return AttemptResult(said=f"{PER_HOST} others are on their way to this host", crowded=True)
        self._underway[host] += 1
        try:
            return await self._attempt(delivery, http)
        finally:
            self._underway -= Counter([host])  # which forgets a host at zero

    async def _attempt(self, delivery: Delivery, http: httpx.AsyncClient) -> AttemptResult:
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                return AttemptResult.of(await self._post(delivery, http))
        except DestinationError as error:
            return AttemptResult(said=str(error), hopeless=True)
        except (OSError, httpx.HTTPError) as error:  # a TimeoutError is an OSError
            return AttemptResult(said=f"{type(error).__name__} {error}".rstrip())

    async def _post(self, delivery: Delivery, http: httpx.AsyncClient) -> int:
        """The status of the answer; its body is not read."""
        target, body = self._destinations.check(destination(delivery)), message(delivery)
        addresses = await self._destinations.addresses(target)
        headers = signed(body, key=self._key, delivery=delivery.id, at=int(time.time()))
        request = http.build_request(
            "POST",
            target.pinned(addresses[(delivery.attempt - 1) % len(addresses)]),
            content=body,
            headers={**headers, "Host": target.url.netloc.decode(), "Content-Type": "application/json"},
            extensions=by_name(target),
        )
        response = await http.send(request, stream=True)
        await response.aclose()
        return response.status_code

    async def _conclude(self, delivery: Delivery, answer: AttemptResult) -> None:
        if answer.accepted or answer.hopeless:
            await self._outbox.settle(delivery)
        elif await self._outbox.postpone(
            delivery,
            seconds=self._schedule.pause(delivery.attempt, crowded=answer.crowded),
            patience_seconds=self._schedule.total_seconds,
        ):
            logger.info("delivery %s, attempt %d: %s", delivery.id, delivery.attempt, answer.said)
            return
        if not answer.accepted:
            logger.warning("delivery %s is dropped after attempt %d: %s", delivery.id, delivery.attempt, answer.said)


@dataclass(frozen=True, kw_only=True)
class AttemptResult:
    """What came of an attempt; neither accepted nor hopeless means again. `crowded`: it was not made."""

    said: str
    accepted: bool = False
    hopeless: bool = False
    crowded: bool = False

    @classmethod
    def of(cls, status: int) -> AttemptResult:
        """Any 2xx accepts, 410 wants no more; a redirect is a failure like others, for it is not followed."""
        return cls(
            said=f"answered {status}",
            accepted=HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES,
            hopeless=status == HTTPStatus.GONE,
        )


def client(tls: ssl.SSLContext) -> httpx.AsyncClient:
    """No proxy, no redirects, and each connection used once: kept open, one would be known by its address alone, and a
    certificate checked for one name would serve another at the same address.
    """
    return httpx.AsyncClient(
        verify=tls,
        timeout=httpx.Timeout(ATTEMPT_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=0),
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": USER_AGENT},
    )


def by_name(target: Target) -> dict[str, str]:
    """What keeps TLS on the name although the connection goes to an address."""
    return {"sni_hostname": target.host}


def destination(delivery: Delivery) -> str:
    """The receiver's URL. Raises DestinationError if the job has none."""
    if delivery.request.webhook is None:
        raise DestinationError("the job has no webhook")
    return delivery.request.webhook.url


def host_of(delivery: Delivery) -> str:
    """The receiver's host; "" if the job has no webhook."""
    return httpx.URL(delivery.request.webhook.url).host if delivery.request.webhook else ""


def message(delivery: Delivery) -> bytes:
    """The body, the same at every attempt."""
    return WebhookPayload.of(delivery).encode()
