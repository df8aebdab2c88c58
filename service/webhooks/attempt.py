"""One attempt at a delivery: look-up, connection, POST, and what its response means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from service.errors import DestinationError
from service.webhooks.http_post import ReceiverResponse, post
from service.webhooks.payload import WebhookPayload
from service.webhooks.signature import signed

if TYPE_CHECKING:
    import ssl

    from service.destinations import Destinations, Target
    from service.webhooks.outbox import Delivery
    from service.webhooks.signature import WebhookSecrets

ATTEMPT_SECONDS = 10
"""For one attempt in all, look-up included."""

LOOKUP_SECONDS = 3
"""For the look-up of the receiver's name."""

USER_AGENT = "subscale-webhooks/1"


@dataclass(frozen=True, kw_only=True)
class AttemptResult:
    """Result of an attempt. A delivery that is neither accepted nor `final` is retried.

    `detail` is for the log. It has no URL, because a URL may carry a secret.
    """

    detail: str
    accepted: bool = False
    final: bool = False
    retry_after_seconds: float = 0

    @classmethod
    def of(cls, response: ReceiverResponse) -> AttemptResult:
        """Return what a response means. A 2xx accepts, 410 ends the delivery, all others fail, redirects included."""
        return cls(
            detail=f"status {response.status}",
            accepted=HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES,
            final=response.status == HTTPStatus.GONE,
            retry_after_seconds=retry_after(response.headers.get("retry-after", "")),
        )


class Attempt:
    """One attempt at one delivery."""

    def __init__(
        self,
        delivery: Delivery,
        *,
        destinations: Destinations,
        secrets: WebhookSecrets,
        tls: ssl.SSLContext,
        root_path: str = "",
    ) -> None:
        self._delivery, self._destinations, self._secrets, self._tls = delivery, destinations, secrets, tls
        self._root_path = root_path
        self._lookup: asyncio.Task[Sequence[str]] | None = None

    async def run(self) -> AttemptResult:
        """Make the attempt. Whatever goes wrong is a failed attempt."""
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                return AttemptResult.of(await self._post())
        except DestinationError as error:
            return AttemptResult(detail=error.message, final=True)
        except Exception as error:  # noqa: BLE001 - one receiver must not stop the sender, whatever it provokes
            return AttemptResult(detail=f"{type(error).__name__}: {error}".removesuffix(": "))

    def when_free(self, callback: Callable[[], None]) -> None:
        """Call back when the attempt holds nothing more: a look-up may hold its thread after the attempt has ended."""

        def free(lookup: asyncio.Task[Sequence[str]]) -> None:
            if not lookup.cancelled():
                lookup.exception()  # nobody waits for it: read, it is not logged as forgotten
            callback()

        if self._lookup is None or self._lookup.done():
            callback()
        else:
            self._lookup.add_done_callback(free)

    async def _post(self) -> ReceiverResponse:
        target, body = (
            self._destinations.check(self._delivery.job.webhook.url),
            WebhookPayload.of(self._delivery, root_path=self._root_path).encode(),
        )
        addresses = await self._addresses(target)
        keys = self._secrets.of(self._delivery.lane.owner)
        headers = signed(body, keys=keys, delivery=self._delivery.id, at=int(time.time()))
        return await post(
            target,
            addresses[(self._delivery.attempt - 1) % len(addresses)],
            body=body,
            headers={**headers, "Content-Type": "application/json", "User-Agent": USER_AGENT},
            tls=self._tls,
        )

    async def _addresses(self, target: Target) -> Sequence[str]:
        """Return the addresses of the receiver. Raises TimeoutError, and what Destinations.addresses raises."""
        self._lookup = asyncio.create_task(self._destinations.addresses(target))
        done, _ = await asyncio.wait({self._lookup}, timeout=LOOKUP_SECONDS)
        if not done:
            raise TimeoutError(f"no reply from the name server within {LOOKUP_SECONDS} s")
        return self._lookup.result()


def retry_after(value: str) -> float:
    """Return the seconds that a Retry-After header asks for, as a number or as a date; 0 without one."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return 0
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
