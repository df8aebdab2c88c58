"""From what a caller asked to what is drawn: defaults filled in, every field checked against the model."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from models.cards import ModelCard
from models.config import Stage, control_indices
from models.errors import ControlError
from service.contract import JobRequest, SliceEntry, Webhook, WebhookEvent
from service.destinations import Destinations
from service.errors import FieldError
from service.pictures import started
from service.requests import MAX_SEED, Controls, GenerateRequest, WebhookRequest


@dataclass(frozen=True, kw_only=True)
class Order:
    """A complete request, and the slices its pictures start with."""

    request: JobRequest
    given: tuple[SliceEntry, ...]


def order(  # noqa: PLR0913 - the terms of a job, by keyword
    asked: GenerateRequest,
    card: ModelCard,
    *,
    owner: str,
    retention_seconds: int,
    deadline_seconds: int,
    destinations: Destinations | None = None,
) -> Order:
    """What to draw with the model of `card`, for `owner`. Without `destinations` nobody can be told. Raises FieldError."""
    given = given_slices(asked, card)
    request = JobRequest(
        id=secrets.token_hex(12),
        model=card.name,
        seed=secrets.randbelow(MAX_SEED + 1) if asked.seed is None else asked.seed,
        temperature=asked.temperature,
        controls=per_picture(asked, card),
        geometry=card.config.geometry,
        given=len(given),
        retention_seconds=retention_seconds,
        metadata=asked.metadata,
        owner=owner,
        deadline_seconds=deadline_seconds,
        webhook=webhook(asked.webhook, destinations) if asked.webhook else None,
    )
    return Order(request=request, given=given)


def webhook(asked: WebhookRequest, destinations: Destinations | None) -> Webhook:
    """Whom to tell, each event once. Raises FieldError if this server sends no webhooks, or none to there."""
    if destinations is None:
        raise FieldError("webhook", "this server sends none: its operator has set no SPN_WEBHOOK_SECRET to sign them")
    destinations.check(asked.url)
    return Webhook(url=asked.url, events=tuple(event for event in WebhookEvent if event in asked.events))


def fingerprint(asked: GenerateRequest) -> str:
    """Equal for equal bodies, whatever the order of their fields."""
    return hashlib.sha256(asked.model_dump_json().encode()).hexdigest()


def per_picture(asked: GenerateRequest, card: ModelCard) -> tuple[Controls, ...]:
    """One mapping of controls for each picture. Raises FieldError."""
    each = asked.controls if isinstance(asked.controls, list) else [asked.controls] * asked.num_images
    if len(each) != asked.num_images:
        raise FieldError("controls", f"expected {asked.num_images} items, one per picture, got {len(each)}")
    return tuple(checked(with_label(controls, asked.label), card) for controls in each)


def with_label(controls: Controls, label: str | None) -> Controls:
    """The shorthand written out. Raises FieldError if both say something else."""
    if label is None:
        return controls
    if controls.get("label", label) != label:
        raise FieldError("label", "contradicts controls.label")
    return {**controls, "label": label}


def checked(controls: Controls, card: ModelCard) -> Controls:
    """`controls`, if the model has them. Raises FieldError, whose message lists what there is."""
    for name in controls:
        try:
            control_indices(card.config.controls, {name: controls[name]})
        except ControlError as error:
            raise FieldError(f"controls.{name}", str(error)) from None
    return controls


def given_slices(asked: GenerateRequest, card: ModelCard) -> tuple[SliceEntry, ...]:
    """The slices of the caller's own picture. Raises FieldError."""
    if asked.start is None:
        return ()
    progress = started(asked.start.image, Stage(asked.start.stage), card.config.geometry)
    return tuple(SliceEntry.of(progress, step) for step in range(progress.done))
