"""The outbox of webhook deliveries: taken one by one, and not gone before they are settled.

`transitions.lua` fills it in the step that makes the event. Any number of API processes may empty it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from models.config import Stage
from service.contract.record import Fields, Problem
from service.contract.redis_keys import delivery_key
from service.contract.request import JobRequest
from service.contract.statuses import Status, WebhookEvent
from service.contract.transitions import AsyncTransitions, Outcome, dispatch, postpone, settle

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass(frozen=True, kw_only=True)
class SlicePosition:
    """Which slice: step number `step` of picture `image`."""

    image: int
    step: int
    stage: Stage


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event on its way to one receiver, with all that is told. `at` is the event's time in milliseconds since 1970;
    `attempt` counts from 1; `position` for WebhookEvent.SLICE alone.
    """

    id: str
    event: WebhookEvent
    status: Status
    at: int
    attempt: int
    request: JobRequest
    position: SlicePosition | None = None
    error: Problem | None = None

    @classmethod
    def decode(cls, delivery: str, fields: Fields) -> Self:
        """From the delivery's hash."""
        text = {key.decode(): value.decode() for key, value in fields.items()}
        return cls(
            id=delivery,
            event=WebhookEvent(text["event"]),
            status=Status(text["status"]),
            at=int(text["at"]),
            attempt=int(text["attempts"]),
            request=JobRequest.from_json(text["request"]),
            position=_position(text) if "step" in text else None,
            error=Problem.from_json(text["error"]) if text.get("error") else None,
        )


def _position(text: dict[str, str]) -> SlicePosition:
    return SlicePosition(image=int(text["image"]), step=int(text["step"]), stage=Stage(text["stage"]))


class Outbox:
    """All deliveries of one Redis. Every method raises redis' ConnectionError."""

    def __init__(self, client: Redis, *, hidden_seconds: float) -> None:
        self._client, self._transitions = client, AsyncTransitions(client)
        self._hidden_seconds = hidden_seconds

    async def take(self) -> Delivery | None:
        """One that is due, if any. Not settled, it is due again after `hidden_seconds`: its taker may have died."""
        reply = await self._transitions(dispatch(seconds=self._hidden_seconds))
        if reply.outcome is Outcome.EMPTY:
            return None
        fields = await self._client.hgetall(delivery_key(reply.value))
        return Delivery.decode(reply.value, fields) if fields else None

    async def settle(self, delivery: Delivery) -> None:
        """It has arrived, or never will."""
        await self._transitions(settle(delivery.id))

    async def postpone(self, delivery: Delivery, *, seconds: float, patience_seconds: float) -> bool:
        """Whether it stays for another attempt after `seconds`: not if that is over `patience_seconds` after the first.
        Nothing happens if somebody else has taken it since.
        """
        reply = await self._transitions(
            postpone(delivery.id, attempt=delivery.attempt, seconds=seconds, patience_seconds=patience_seconds)
        )
        return reply.outcome is not Outcome.ENDED
