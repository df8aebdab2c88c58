"""Bodies of submits: POST /generate and POST /score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    model_validator,
)

from service.contract.request import Priority
from service.contract.statuses import WebhookEvent

MAX_IMAGES = 16
MAX_SEED = 2**53 - 1 - MAX_IMAGES
"""So that seed + i is still exact in JavaScript."""

MAX_METADATA_BYTES = 4096
MAX_METADATA_DEPTH = 16
MAX_METADATA_VALUES = 512
"""Values of `metadata`, at all levels together."""

MAX_NAME_CHARACTERS = 200
MAX_URL_CHARACTERS = 2048
MAX_VALUES = 512
"""Values of a body outside `metadata`. Each may be an error, and an error takes 20 microseconds and 2 KiB."""

MAX_DEPTH = 8
"""Levels of lists and objects outside `metadata`; the deepest request has three."""

MAX_GUIDANCE = 5.0
MAX_CANDIDATES = 8


def whole(value: object) -> object:
    """Return 7 for 7.0: JSON has one type of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Name = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]
Integer = Annotated[int, Field(strict=True), BeforeValidator(whole)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Temperature = Annotated[Number, Field(ge=0.1, le=2.0)]
"""Divisor of a network's logits."""

FORMS = FOR_ALL, BY_NETWORK, ALIKE, EACH, OF_IMAGE, OF_JOB = (
    *("<number>", "<object>", "<mapping>", "<list>"),
    *("<image>", "<job>"),
)
"""Forms of temperature, controls and start. Pydantic names them in the place of an error; `problems.field_of` removes them."""


def set_controls(controls: object) -> object:
    """Return controls without those that are null: they are "any"."""
    return without_nulls(controls) if isinstance(controls, dict) else controls


Controls = Annotated[dict[Name, Name], BeforeValidator(set_controls)]


def within_limits(metadata: object) -> object:
    """Return `metadata`, if it is JSON within the limits. It is checked level by level, before anything recurses into it."""
    level, values, characters = [metadata], 0, characters_of(metadata)
    for _ in range(MAX_METADATA_DEPTH):
        level = [inner for outer in level for inner in contents(outer)]
        values, characters = values + len(level), characters + sum(map(characters_of, level))
        if characters > MAX_METADATA_BYTES:
            raise ValueError(f"at most {MAX_METADATA_BYTES} bytes of JSON are accepted, got more")
        if values > MAX_METADATA_VALUES:
            raise ValueError(f"at most {MAX_METADATA_VALUES} keys and values are accepted: send fewer")
    if any(isinstance(value, dict | list) for value in level):
        raise ValueError(f"at most {MAX_METADATA_DEPTH} levels of nesting are accepted: send a flatter object")
    return within_bytes(metadata)


def contents(value: object) -> list[object]:
    """Return the values inside a JSON value."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def characters_of(value: object) -> int:
    """Return the length of a text, or of the names of an object; 0 for other values."""
    return len(value) if isinstance(value, str) else sum(map(len, value)) if isinstance(value, dict) else 0


def within_bytes(metadata: object) -> object:
    """Return `metadata`, if it is at most MAX_METADATA_BYTES of JSON, which has no NaN and no half characters."""
    try:
        written = json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is no text: send whole characters") from None
    except ValueError:
        raise ValueError("NaN and Infinity are no JSON: send numbers, null or text") from None
    if len(written) > MAX_METADATA_BYTES:
        raise ValueError(f"at most {MAX_METADATA_BYTES} bytes of JSON are accepted, got {len(written)}")
    return metadata


def bounded(body: Mapping[str, Any]) -> None:
    """Check the size of a body before its fields are validated. Raises ValueError."""
    values = [(value, 1) for name, value in body.items() if name != "metadata"]
    for value, depth in values:  # grows while it is read
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if len(values) + len(inner) > MAX_VALUES:
            raise ValueError(f"at most {MAX_VALUES} values outside of metadata are accepted")
        if depth > MAX_DEPTH:
            raise ValueError(f"at most {MAX_DEPTH} levels of lists and objects outside of metadata are accepted")
        values += [(each, depth + 1) for each in inner]


def without_nulls(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of an object that are not null."""
    return {name: value for name, value in body.items() if value is not None}


class ClosedObject(BaseModel):
    """An object of a request. An unknown field is refused, also one that is null. A known field that is null is absent."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: object) -> object:
        if not isinstance(fields, dict):
            return fields
        unknown = {name: value for name, value in fields.items() if name not in cls.model_fields}
        return {**without_nulls(fields), **unknown}


class RequestBody(ClosedObject):
    """A whole body, of bounded size."""

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, body: object) -> object:
        if isinstance(body, dict):
            bounded(body)
        return body


class StartStage(StrEnum):
    """Networks that can begin with the caller's own image."""

    SIZE = "size"
    DEPTH = "depth"


class Start(ClosedObject):
    """The caller's own image, in place of what the earlier networks generate."""

    stage: StartStage = Field(
        description="size: start from a small image. depth: from one of full size. GET /models lists the sizes."
    )
    image: str = Field(description="Base64 of a PNG, WebP or JPEG; a data: URL is accepted too.")


class Variation(ClosedObject):
    """An image of one of the caller's own jobs, of which the first slices are kept."""

    job: Name = Field(description="Id of the job.")
    index: Integer = Field(default=0, ge=0, lt=MAX_IMAGES, description="Index of the image; absent: 0.")
    slices: Integer | None = Field(default=None, ge=1, description="Keep so many slices.")
    stage: StartStage | None = Field(default=None, description="Keep all slices before those of this network.")

    @model_validator(mode="after")
    def keeps_something(self) -> Self:
        """Check that there is exactly one of `slices` and `stage`."""
        if (self.slices is None) == (self.stage is None):
            raise ValueError("send either slices, a number, or stage, the first network that runs")
        return self


class WebhookRequest(ClosedObject):
    """A receiver of events, by signed POSTs (Standard Webhooks)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://example.com/hook", "events": ["succeeded", "failed"]}]},
    )

    url: str = Field(
        max_length=MAX_URL_CHARACTERS, description="https at a public address. Redirects are not followed."
    )
    events: list[WebhookEvent] = Field(min_length=1, description="Events to send; each is one POST.")


class StageTemperatures(ClosedObject):
    """A temperature for each network; absent: the model's default."""

    base: Temperature | None = Field(default=None, description="Of the first coarse slice: content and composition.")
    size: Temperature | None = Field(default=None, description="Of the other coarse slices: edges.")
    depth: Temperature | None = Field(default=None, description="Of the fine bits: gradients and smooth areas.")


def temperature_form(value: object) -> str:
    """Return which form of temperature this is, so that only errors of that form are reported."""
    return BY_NETWORK if isinstance(value, Mapping | StageTemperatures) else FOR_ALL


def controls_form(value: object) -> str:
    """Return which form of controls this is, so that only errors of that form are reported."""
    return EACH if isinstance(value, list) else ALIKE


def start_form(value: object) -> str:
    """Return which form of start this is, so that only errors of that form are reported."""
    of_job = isinstance(value, Variation) or (isinstance(value, Mapping) and value.get("job") is not None)
    return OF_JOB if of_job else OF_IMAGE


AnyStart = Annotated[Annotated[Start, Tag(OF_IMAGE)] | Annotated[Variation, Tag(OF_JOB)], Discriminator(start_form)]
"""The caller's own image, or one of the caller's own jobs."""

AnyTemperature = Annotated[
    Annotated[Temperature, Tag(FOR_ALL)] | Annotated[StageTemperatures, Tag(BY_NETWORK)],
    Discriminator(temperature_form),
]
"""One temperature for all networks, or an object."""

AnyControls = Annotated[
    Annotated[Controls, Tag(ALIKE)] | Annotated[list[Controls], Tag(EACH)], Discriminator(controls_form)
]
"""Controls of all images, or a list with those of each."""


class SubmitFields(RequestBody):
    """Fields of every submit."""

    model: Name | None = Field(default=None, description="A name from GET /models; absent: the server's default.")
    label: Name | None = Field(default=None, description="Short for controls.label.")
    priority: Priority = Field(
        default=Priority.INTERACTIVE,
        description="batch: after your interactive jobs, and without their preference for a first slice.",
    )
    webhook: WebhookRequest | None = Field(default=None, description="Send events to this receiver.")
    metadata: Annotated[dict[str, JsonValue], BeforeValidator(within_limits)] = Field(
        default_factory=dict, description="JSON, returned unchanged: at most 4 KiB, 16 levels and 512 values."
    )


class ScoreRequest(SubmitFields):
    """An image whose likelihood is to be computed. A field that is null counts as absent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"image": "iVBORw0KGgo...", "controls": {"label": "A"}}]},
    )

    image: str = Field(
        description="Base64 of a PNG, WebP or JPEG of the model's full size; a data: URL is accepted too."
    )
    controls: Controls = Field(default_factory=dict, description="Control to value; absent: any.")


class GenerateRequest(SubmitFields):
    """Images to generate. All fields have defaults: `{}` is a valid request. A field that is null counts as absent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"label": "A", "seed": 7}, {"controls": {"hue": "blue"}, "num_images": 4}]},
    )

    num_images: Integer = Field(default=1, ge=1, le=MAX_IMAGES, description="Images of the job; absent: 1.")
    seed: Integer | None = Field(
        default=None, ge=0, le=MAX_SEED, description="Image i has seed + i; absent: random. The job says which."
    )
    controls: AnyControls = Field(
        default_factory=dict, description="Control to value, or a list of num_images of them; absent: any."
    )
    temperature: AnyTemperature | None = Field(
        default=None,
        description="One for all networks, or {base, size, depth}. 1: the model's own distribution. Absent: the default.",
    )
    guidance: Number | None = Field(
        default=None,
        ge=1.0,
        le=MAX_GUIDANCE,
        description="How closely the base network follows label and style. 1: as trained. Absent: the model's default.",
    )
    candidates: Integer | None = Field(
        default=None,
        ge=1,
        le=MAX_CANDIDATES,
        description="Base slices per image; the verifier keeps the one that fits the label best. Absent: the default.",
    )
    start: AnyStart | None = Field(
        default=None, description="Start from an image of your own, or keep the first slices of an earlier job's image."
    )
