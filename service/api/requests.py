"""What a caller may ask for: the body of POST /generate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag

from service.contract.statuses import WebhookEvent

MAX_IMAGES = 16
MAX_SEED = 2**53 - 1 - MAX_IMAGES
"""So that seed + i is still exact in JavaScript."""

MAX_METADATA_BYTES = 4096

MAX_GUIDANCE = 5.0
MAX_CANDIDATES = 8

Temperature = Annotated[float, Field(ge=0.1, le=2.0, allow_inf_nan=False)]
"""What a network's logits are divided by."""

TEMPERATURE_FORMS = FOR_ALL, BY_NETWORK = "<number>", "<object>"
"""Forms of temperature. Pydantic puts them into the place of an error; `service.api.problems.field_of` takes them out."""

Controls = dict[str, str]


def small(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """`metadata`, if it is at most MAX_METADATA_BYTES of JSON, which has no NaN, and text, which has no half characters."""
    try:
        written = json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is no text") from None
    except ValueError:
        raise ValueError("NaN and Infinity are no JSON") from None
    if len(written) > MAX_METADATA_BYTES:
        raise ValueError(f"at most {MAX_METADATA_BYTES} bytes of JSON")
    return metadata


class StartStage(StrEnum):
    """The upscalers that may begin with the caller's own picture."""

    SIZE = "size"
    DEPTH = "depth"


class Start(BaseModel):
    """Skip the earlier networks."""

    model_config = ConfigDict(extra="forbid")

    stage: StartStage = Field(description="size: begin with a slice-sized picture. depth: with a full-sized one.")
    image: str = Field(description="Base64 of a PNG, WebP or JPEG.")


class WebhookRequest(BaseModel):
    """Whom to tell of what, by signed POSTs (Standard Webhooks)."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://example.com/hook", "events": ["succeeded", "failed"]}]},
    )

    url: str = Field(description="https, at a public address; not followed if it redirects.")
    events: list[WebhookEvent] = Field(min_length=1, description="Which events to tell of; each is one POST.")


class StageTemperatures(BaseModel):
    """A temperature for each network; absent: the model's own default."""

    model_config = ConfigDict(extra="forbid")

    base: Temperature | None = Field(default=None, description="Of the first coarse slice: what is drawn.")
    size: Temperature | None = Field(default=None, description="Of the other coarse slices: edges.")
    depth: Temperature | None = Field(default=None, description="Of the fine bits: gradients and smooth fills.")


def temperature_form(sent: object) -> str:
    """Return which form of temperature this is, so that only its own errors are reported."""
    return BY_NETWORK if isinstance(sent, Mapping | StageTemperatures) else FOR_ALL


AnyTemperature = Annotated[
    Annotated[Temperature, Tag(FOR_ALL)] | Annotated[StageTemperatures, Tag(BY_NETWORK)],
    Discriminator(temperature_form),
]
"""One temperature for all networks, or an object."""


class GenerateRequest(BaseModel):
    """What to draw. All fields have defaults: `{}` is a valid request."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"label": "A", "seed": 7}, {"controls": {"hue": "blue"}, "num_images": 4}]},
    )

    model: str | None = Field(default=None, description="A name from GET /models; absent: the server's default.")
    num_images: int = Field(default=1, ge=1, le=MAX_IMAGES, strict=True)
    seed: int | None = Field(
        default=None, ge=0, le=MAX_SEED, strict=True, description="Picture i has seed + i; absent: drawn and returned."
    )
    controls: Controls | list[Controls] = Field(
        default_factory=dict, description="Control to value, or a list of num_images of them; absent: any."
    )
    label: str | None = Field(default=None, description="Shorthand for controls.label.")
    temperature: AnyTemperature | None = Field(
        default=None,
        description="One for all networks, or {base, size, depth}. 1: the model's own distribution. Absent: the default.",
    )
    guidance: float | None = Field(
        default=None,
        ge=1.0,
        le=MAX_GUIDANCE,
        allow_inf_nan=False,
        description="How closely the base network follows label and style. 1: as trained. Absent: the model's default.",
    )
    candidates: int | None = Field(
        default=None,
        ge=1,
        le=MAX_CANDIDATES,
        strict=True,
        description="Base slices drawn for each image; the one that reads best as its label goes on. Absent: the default.",
    )
    start: Start | None = None
    webhook: WebhookRequest | None = None
    metadata: Annotated[dict[str, JsonValue], AfterValidator(small)] = Field(
        default_factory=dict, description="At most 4 KiB of JSON, returned untouched."
    )
