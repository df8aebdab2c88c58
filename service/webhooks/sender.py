"""Sender of webhooks: a task that takes deliveries from the outbox and makes their attempts, many at a time.

A delivery that is not answered with 2xx is retried after growing pauses, for an hour; its id stays the same. If the
process dies, its deliveries are still in the outbox and soon due again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
from redis.exceptions import RedisError

from service.webhooks.attempt import ATTEMPT_SECONDS, Attempt, AttemptResult
from service.webhooks.retry_schedule import RetrySchedule
from service.webhooks.slots import Slots

if TYPE_CHECKING:
    import ssl

    from service.destinations import Destinations
    from service.webhooks.outbox import Delivery, Outbox
    from service.webhooks.signature import WebhookSecrets

logger = logging.getLogger(__name__)

HIDDEN_SECONDS = 3 * ATTEMPT_SECONDS
"""A delivery whose sender is silent for this long is due again."""


class Sender:
    """Sender of the deliveries in an outbox. `secrets` sign; `tls` says which certificates are accepted.

    `root_path` is the path prefix of the URLs in the payloads.
    """

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        outbox: Outbox,
        destinations: Destinations,
        *,
        secrets: WebhookSecrets,
        schedule: RetrySchedule | None = None,
        tls: ssl.SSLContext | None = None,
        root_path: str = "",
    ) -> None:
        self._outbox, self._destinations, self._secrets = outbox, destinations, secrets
        self._schedule, self._tls = schedule or RetrySchedule(), tls or httpx.create_ssl_context()
        self._slots, self._freed = Slots(), asyncio.Event()
        self._root_path = root_path

    async def run(self) -> None:
        """Send without end. If it is cancelled, deliveries whose attempt has not ended stay in the outbox."""
        async with asyncio.TaskGroup() as attempts:
            while True:
                self._freed.clear()
                if delivery := await self._next():
                    self._slots.occupy(delivery.lane)
                    attempts.create_task(self._handle(delivery))
                else:
                    await self._rest()

    async def _next(self) -> Delivery | None:
        try:
            return await self._outbox.take(owners=self._slots.owners(), lanes=self._slots.lanes())
        except RedisError as error:
            logger.warning("outbox: %s", error)
        return None

    async def _rest(self) -> None:
        """Wait until an attempt ends, at most for the schedule's `poll_seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._schedule.poll_seconds):
                await self._freed.wait()

    async def _handle(self, delivery: Delivery) -> None:
        """Make one attempt and record its result. If that fails the delivery is due again."""
        attempt = Attempt(
            delivery,
            destinations=self._destinations,
            secrets=self._secrets,
            tls=self._tls,
            root_path=self._root_path,
        )
        try:
            await self._record(delivery, await attempt.run())
        except RedisError as error:
            logger.warning("result of delivery %s is lost: %s", delivery.id, error)
        except Exception:
            logger.exception("delivery %s", delivery.id)
        finally:
            attempt.when_free(lambda: self._free(delivery))

    def _free(self, delivery: Delivery) -> None:
        self._slots.release(delivery.lane)
        self._freed.set()

    async def _record(self, delivery: Delivery, result: AttemptResult) -> None:
        if result.accepted:
            self._slots.widen(delivery.lane)
            await self._outbox.settle(delivery.id)
        elif not result.final and await self._retry(delivery, result):
            logger.info("delivery %s, attempt %d: %s", delivery.id, delivery.attempt, result.detail)
        else:
            if result.final:
                await self._outbox.settle(delivery.id)
            logger.warning("delivery %s is dropped after attempt %d: %s", delivery.id, delivery.attempt, result.detail)

    async def _retry(self, delivery: Delivery, result: AttemptResult) -> bool:
        """Return whether the delivery stays for another attempt."""
        self._slots.narrow(delivery.lane)
        return await self._outbox.postpone(
            delivery.id,
            attempt=delivery.attempt,
            seconds=self._schedule.pause(delivery.attempt, retry_after_seconds=result.retry_after_seconds),
            total_seconds=self._schedule.total_seconds,
            pause_seconds=min(result.retry_after_seconds, self._schedule.longest_seconds),
        )
