"""Intake of a request: defaults are filled in and every field is checked against the model."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from pydantic import BaseModel, JsonValue

from models.cards import ModelCard
from models.config import LABEL, Control, Stage, Temperatures
from models.subscale import Progress
from service.api.requests import MAX_SEED, Controls, GenerateRequest, ScoreRequest, Start, WebhookRequest
from service.contract.lanes import slice_lanes
from service.contract.likelihood import packed
from service.contract.request import JobRequest, Priority, Webhook
from service.contract.statuses import WebhookEvent
from service.contract.stream import SliceEntry
from service.destinations import Destinations
from service.errors import FieldError
from service.images import pixels, started

MOST_LISTED = 20
"""Values of a control that an error still lists in full."""

NEAREST = 5
"""Similar values and aliases that an error suggests at most, if the control has more."""

NEAR = 0.5
"""Smallest similarity of a suggestion: the ratio of difflib."""


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A complete request, and the slices that its images start with."""

    request: JobRequest
    given: tuple[SliceEntry, ...]


def new_job(  # noqa: PLR0913 - the terms of a job, by keyword
    fields: GenerateRequest | ScoreRequest,
    card: ModelCard,
    *,
    id: str,  # noqa: A002 - its name in the record
    owner: str,
    retention_seconds: int,
    deadline_seconds: int,
    destinations: Destinations | None = None,
    kept: Progress | None = None,
) -> NewJob:
    """Return the job of a request, for the model of `card`. Without `destinations` webhooks are refused. Raises FieldError."""
    request = JobRequest(
        id=id,
        model=card.name,
        seed=0,
        temperature=1.0,
        controls=per_picture(fields, card),
        geometry=card.config.geometry,
        priority=fields.priority,
        retention_seconds=retention_seconds,
        metadata=fields.metadata,
        owner=owner,
        deadline_seconds=deadline_seconds,
        webhook=webhook(fields.webhook, destinations) if fields.webhook else None,
    )
    if isinstance(fields, ScoreRequest):
        values = pixels(fields.image, request.geometry, sizes=(request.geometry.size,), field="image")
        return NewJob(request=replace(request, scored=packed(values)), given=())
    return with_sampling(request, fields, card, kept)


def with_sampling(request: JobRequest, fields: GenerateRequest, card: ModelCard, kept: Progress | None) -> NewJob:
    """Return the job with what determines its pixels. Raises FieldError."""
    given = given_slices(fields, card, kept)
    request = replace(
        request,
        seed=secrets.randbelow(MAX_SEED + 1) if fields.seed is None else fields.seed,
        temperature=temperature(fields, card),
        guidance=guidance(fields, card),
        candidates=candidates(fields, card),
        start_slices=len(given),
    )
    lanes = [slice_lanes(card, Stage.BASE, request.sampling, requested) for requested in request.controls]
    return NewJob(request=replace(request, base_lanes=sum(lanes) / len(lanes)), given=given)


def temperature(fields: GenerateRequest, card: ModelCard) -> float | Temperatures:
    """Return the temperatures to sample at: a plain number as it was sent, else with the model's defaults filled in."""
    sent, default = fields.temperature, card.sampling.temperature
    if isinstance(sent, float):
        return sent
    return replace(default, **sent.model_dump(exclude_none=True)) if sent else default


def guidance(fields: GenerateRequest, card: ModelCard) -> float:
    """Return the guidance to sample with: 1 for a model without a guided network. Raises FieldError for more there."""
    if fields.guidance not in {None, 1.0} and not card.guided:
        raise FieldError("guidance", f"{card.name} has no guided network: send 1, or leave guidance out")
    default = card.sampling.guidance if card.guided else 1.0
    return default if fields.guidance is None else fields.guidance


def candidates(fields: GenerateRequest, card: ModelCard) -> int:
    """Return the base slices per image: 1 for a model without a verifier. Raises FieldError for more there."""
    if fields.candidates not in {None, 1} and not card.verifier:
        raise FieldError("candidates", f"{card.name} has no verifier to choose one: send 1, or leave candidates out")
    default = card.sampling.candidates if card.verifier else 1
    return default if fields.candidates is None else fields.candidates


def webhook(fields: WebhookRequest, destinations: Destinations | None) -> Webhook:
    """Return the receiver, with each event once. Raises FieldError if this server sends no webhooks, or none to that URL."""
    if destinations is None:
        raise FieldError("webhook", "this server sends no webhooks; its operator has to set SPN_WEBHOOK_SECRET")
    destinations.check(fields.url)
    return Webhook(url=fields.url, events=tuple(event for event in WebhookEvent if event in fields.events))


def fingerprint(fields: BaseModel) -> str:
    """Return a hash that is equal for equal JSON: the order of members and 7 or 7.0 make no difference.

    `priority` came later. Its default is left out, so that keys of earlier releases stay valid.
    """
    body = fields.model_dump(mode="json")
    if body.get("priority") == Priority.INTERACTIVE:
        del body["priority"]
    return hashlib.sha256(json.dumps(canonical_json(body), sort_keys=True).encode()).hexdigest()


def canonical_json(value: JsonValue) -> JsonValue:
    """Return a JSON value with whole numbers as integers."""
    match value:
        case dict():
            return {name: canonical_json(each) for name, each in value.items()}
        case list():
            return [canonical_json(each) for each in value]
        case _:
            return int(value) if isinstance(value, float) and value.is_integer() else value


def per_picture(fields: GenerateRequest | ScoreRequest, card: ModelCard) -> tuple[Controls, ...]:
    """Return the controls of each image. Raises FieldError."""
    count = fields.num_images if isinstance(fields, GenerateRequest) else 1
    each = fields.controls if isinstance(fields.controls, list) else [fields.controls] * count
    if len(each) != count:
        raise FieldError("controls", f"expected {count} items, one per image, got {len(each)}")
    shorthand = {} if fields.label is None else checked({LABEL: fields.label}, card)
    return tuple(with_label(checked(controls, card), shorthand) for controls in each)


def with_label(controls: Controls, shorthand: Controls) -> Controls:
    """Return controls with the label of the short form. Raises FieldError if both are there and differ."""
    if shorthand and controls.get(LABEL, shorthand[LABEL]) != shorthand[LABEL]:
        raise FieldError(LABEL, "differs from controls.label; send only one of them")
    return {**controls, **shorthand}


def checked(controls: Controls, card: ModelCard) -> Controls:
    """Return `controls` with values in place of aliases. Raises FieldError, which suggests similar values."""
    known = {control.name: control for control in card.config.controls}
    return {name: canonical(known, name, value) for name, value in controls.items()}


def canonical(known: Mapping[str, Control], name: str, value: str) -> str:
    """Return the value of a control by its name or alias, in any letter case. Raises FieldError."""
    if name not in known:
        raise FieldError(f"controls.{name}", f"the model has no control {name!r}; it has: {', '.join(known) or 'none'}")
    control = known[name]
    values = {each: each for each in control.values} | dict(control.aliases)
    if value in values:
        return values[value]
    if len(alike := {values[each] for each in values if each.casefold() == value.casefold()}) == 1:
        return alike.pop()
    raise FieldError(f"controls.{name}", unknown(control, value))


def unknown(control: Control, value: str) -> str:
    """Return the text for an unknown value: it lists all values of a small control, else similar ones."""
    if len(control.values) <= MOST_LISTED:
        return f"{control.name} has no value {value!r}; it has: {', '.join(control.values)}"
    names = [*control.values, *control.aliases]
    near = get_close_matches(value.casefold(), names, n=NEAREST, cutoff=NEAR)
    meant = [f"{name} ({control.aliases[name]})" if name in control.aliases else name for name in near]
    advice = f"similar: {', '.join(meant)}" if near else f"GET /models lists its {len(control.values)} values"
    return f"{control.name} has no value {value!r}; {advice}"


def given_slices(fields: GenerateRequest, card: ModelCard, kept: Progress | None) -> tuple[SliceEntry, ...]:
    """Return the slices that every image starts with: of the caller's own image, or `kept` of an own job. Raises FieldError."""
    if kept is not None and kept.geometry != card.config.geometry:
        raise FieldError("start.job", f"its images have another size or other slices than those of {card.name}")
    progress = kept
    if isinstance(fields.start, Start):
        progress = started(fields.start.image, Stage(fields.start.stage), card.config.geometry)
    return tuple(SliceEntry.of(progress, step) for step in range(progress.done)) if progress else ()
