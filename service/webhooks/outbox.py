"""Outbox of webhook deliveries. A delivery is taken, and stays in the outbox until it is settled.

`transitions.lua` adds deliveries in the step that makes the event. Any number of API processes may take them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, JsonValue

from models.config import Geometry, Stage
from service.contract.record import Problem
from service.contract.redis_keys import OUTBOX
from service.contract.statuses import Status, WebhookEvent
from service.webhooks.slots import Lane

if TYPE_CHECKING:
    from redis.asyncio import Redis

SCRIPT = "\n".join(
    (
        files("service.contract").joinpath("outbox.lua").read_text(),
        files("service.webhooks").joinpath("dispatch.lua").read_text(),
    )
)

logger = logging.getLogger(__name__)


class UnknownEventError(ValueError):
    """Event of a newer release."""


@dataclass(frozen=True, kw_only=True)
class SlicePosition:
    """Position of a slice: step number `step` of image `image`."""

    image: int
    step: int
    stage: Stage


class Receiver(BaseModel):
    """Webhook of a request, as far as a delivery needs it."""

    url: str


class WebhookJob(BaseModel):
    """Request of a job, as far as a delivery needs it. Fields of newer releases are ignored."""

    id: str
    geometry: Geometry
    webhook: Receiver
    metadata: dict[str, JsonValue] = {}


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event for one receiver. `at` is the time of the event in milliseconds since 1970.

    `attempt` counts from 1. Only WebhookEvent.SLICE has a `position`.
    """

    id: str
    lane: Lane
    event: WebhookEvent
    status: Status
    at: int
    attempt: int
    job: WebhookJob
    position: SlicePosition | None = None
    error: Problem | None = None

    @classmethod
    def decode(cls, delivery: str, request: bytes, fields: Mapping[str, str]) -> Self:
        """Read a delivery's hash and its job's request. Raises UnknownEventError, KeyError and ValueError."""
        if fields["event"] not in set(WebhookEvent):
            raise UnknownEventError(fields["event"])
        return cls(
            id=delivery,
            lane=Lane(owner=fields["owner"], receiver=fields["receiver"]),
            event=WebhookEvent(fields["event"]),
            status=Status(fields["status"]),
            at=int(fields["at"]),
            attempt=int(fields["attempts"]),
            job=WebhookJob.model_validate_json(request),
            position=_position(fields) if "step" in fields else None,
            error=Problem.from_json(fields["error"]) if fields.get("error") else None,
        )


def _position(fields: Mapping[str, str]) -> SlicePosition:
    return SlicePosition(image=int(fields["image"]), step=int(fields["step"]), stage=Stage(fields["stage"]))


@dataclass(frozen=True, kw_only=True)
class OutboxLoad:
    """Size of the outbox now, and the number of deliveries that were given up or found no room."""

    deliveries: int
    bytes: int
    dropped: int


class Outbox:
    """All deliveries of one Redis. Every method raises redis' ConnectionError.

    A delivery that was taken and not settled is due again after `hidden_seconds`, because its sender may have died. So is
    one of an unknown event, for a process of the release that knows it. One that cannot be read is dropped.
    """

    def __init__(self, client: Redis, *, hidden_seconds: float) -> None:
        self._client, self._script = client, client.register_script(SCRIPT)
        self._hidden_seconds = hidden_seconds
        self._unknown_events: set[str] = set()

    async def take(self, *, owners: Mapping[str, int], lanes: Mapping[str, int]) -> Delivery | None:
        """Return a delivery that is due, or None. `owners` and `lanes` count the attempts in flight, by Lane.id."""
        while True:
            taken = await self._step(
                "dispatch",
                owners=dict(owners),
                receivers=dict(lanes),
                look=len(lanes) + 1,
                hidden_seconds=self._hidden_seconds,
            )
            if not taken:
                return None
            delivery = taken[0].decode()
            try:
                return Delivery.decode(delivery, taken[1], text_of(taken[2:]))
            except UnknownEventError as error:
                self._skip(delivery, str(error))
            except Exception as error:  # noqa: BLE001 - whatever it is, the next deliveries must not wait for it
                logger.warning("delivery %s cannot be read and is dropped: %s", delivery, type(error).__name__)
                await self.settle(delivery)

    async def settle(self, delivery: str) -> None:
        """Remove a delivery that has arrived or never will."""
        await self._step("settle", id=delivery)

    async def postpone(
        self, delivery: str, *, attempt: int, seconds: float, total_seconds: float, pause_seconds: float = 0
    ) -> bool:
        """Return whether the delivery stays for another attempt, `seconds` from now.

        It does not stay if that is more than `total_seconds` after the first attempt. No process takes another delivery of
        its lane for `pause_seconds`. If another process has taken this one since, nothing happens.
        """
        outcome = await self._step(
            "postpone",
            id=delivery,
            attempt=attempt,
            seconds=seconds,
            total_seconds=total_seconds,
            pause_seconds=pause_seconds,
        )
        return bool(outcome[0] != b"dropped")

    async def load(self) -> OutboxLoad:
        """Return the size of the outbox."""
        counts = await self._client.hmget(f"{OUTBOX}:totals", ["deliveries", "bytes", "dropped"])
        deliveries, size, dropped = (int(each or 0) for each in counts)
        return OutboxLoad(deliveries=deliveries, bytes=size, dropped=dropped)

    def _skip(self, delivery: str, event: str) -> None:
        """Leave a delivery hidden for a process that knows its event, and say so once for each event."""
        if event not in self._unknown_events:
            self._unknown_events.add(event)
            logger.warning("delivery %s has the unknown event %r: left for a newer release", delivery, event)

    async def _step(self, step: str, **arguments: Any) -> list[bytes]:  # noqa: ANN401 - JSON
        reply: list[bytes] = await self._script(keys=[OUTBOX], args=[step, json.dumps(arguments)])
        return reply


def text_of(flat: Iterable[bytes]) -> dict[str, str]:
    """Return the fields of a hash. Raises UnicodeDecodeError."""
    words = [each.decode() for each in flat]
    return dict(zip(words[::2], words[1::2], strict=True))
