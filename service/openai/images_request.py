"""Body of POST /v1/images/generations: the fields of OpenAI's Images API that this server can honour, and `seed`."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from models.cards import ModelCard
from models.config import LABEL
from service.api.requests import MAX_CANDIDATES, MAX_SEED, GenerateRequest, Integer, Name, RequestBody, within_limits
from service.errors import FieldError
from service.images import ImageFormat
from service.openai.grammar import PROMPT, controls_of
from service.openai.image_file import FileOptions

MAX_IMAGES_AT_ONCE: Final = 10
MAX_PARTIAL_IMAGES: Final = 3
MAX_PROMPT_CHARACTERS: Final = 1000
SMALLEST, LARGEST = 64, 1024
_SQUARE: Final = re.compile(r"([0-9]{2,4})x\1")


class Quality(StrEnum):
    """How much is computed for an image; OpenAI's names, of which `standard` and `hd` are older ones."""

    AUTO = "auto"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    STANDARD = "standard"
    HD = "hd"

    @property
    def level(self) -> Quality:
        """Return low, medium or high."""
        same = {Quality.AUTO: Quality.MEDIUM, Quality.STANDARD: Quality.MEDIUM, Quality.HD: Quality.HIGH}
        return same.get(self, self)


class Background(StrEnum):
    """What lies behind an image; auto is opaque."""

    AUTO = "auto"
    OPAQUE = "opaque"
    TRANSPARENT = "transparent"


class ResponseFormat(StrEnum):
    """Form of an image in the answer."""

    B64_JSON = "b64_json"
    URL = "url"


class ImagesRequest(RequestBody):
    """A prompt, and how its images are answered. A field that is null counts as absent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "a blue rounded icon of a house", "size": "512x512"}]},
    )

    prompt: str = Field(
        max_length=MAX_PROMPT_CHARACTERS,
        description="An English phrase that names label, hue, tile and style; docs/openai.md has its grammar.",
    )
    model: Name | None = Field(default=None, description="An id of GET /v1/models; absent: the server's default.")
    n: Integer = Field(default=1, ge=1, le=MAX_IMAGES_AT_ONCE, description="Number of images; absent: 1.")
    size: Name = Field(default="auto", description="NxN, N from 64 to 1024, or auto, which is 1024x1024.")
    quality: Quality = Field(default=Quality.AUTO, description="low: one candidate. high, hd: 8. Else: the default.")
    background: Background = Field(default=Background.AUTO, description="transparent needs png, webp or svg.")
    output_format: ImageFormat = Field(default=ImageFormat.PNG, description="svg cannot be streamed.")
    output_compression: Literal[100] | None = Field(default=None, description="Only 100: the best quality.")
    response_format: ResponseFormat = Field(
        default=ResponseFormat.B64_JSON, description="url: valid for as long as the job is kept; not with stream."
    )
    stream: bool = Field(default=False, description="Answer with server-sent events.")
    partial_images: Integer = Field(
        default=0, ge=0, le=MAX_PARTIAL_IMAGES, description="Unfinished images to send of each image; needs stream."
    )
    moderation: Literal["auto", "low"] | None = Field(default=None, description="Without effect.")
    user: Name | None = Field(default=None, description="Kept in the job's metadata.")
    safety_identifier: Name | None = Field(default=None, description="Kept in the job's metadata.")
    seed: Integer | None = Field(
        default=None, ge=0, le=MAX_SEED, description="Not OpenAI's: image i has seed + i; absent: random."
    )


def file_options(fields: ImagesRequest) -> FileOptions:
    """Return the files to answer with. Raises FieldError for fields that exclude each other."""
    transparent = fields.background is Background.TRANSPARENT
    if transparent and fields.output_format is ImageFormat.JPEG:
        raise FieldError("background", "a JPEG cannot be transparent; request png, webp or svg")
    if fields.stream and fields.output_format is ImageFormat.SVG:
        raise FieldError("output_format", "an SVG cannot be streamed; request png, webp or jpeg, or leave stream out")
    if fields.stream and fields.response_format is ResponseFormat.URL:
        raise FieldError("response_format", "a stream carries images as b64_json; leave stream out for a url")
    if fields.partial_images and not fields.stream:
        raise FieldError("partial_images", "only a stream has partial images; send stream true, or leave it out")
    return FileOptions(format=fields.output_format, size=pixels_of(fields.size), transparent=transparent)


def pixels_of(size: str) -> int:
    """Return the pixels along the side of `NxN` or `auto`. Raises FieldError."""
    found = _SQUARE.fullmatch("1024x1024" if size == "auto" else size)
    if not found or not SMALLEST <= int(found[1]) <= LARGEST:
        expected = f"auto or NxN, N from {SMALLEST} to {LARGEST}, such as 512x512"
        raise FieldError("size", f"images are square: expected {expected}, got {size!r}")
    return int(found[1])


def generate_request(fields: ImagesRequest, card: ModelCard) -> GenerateRequest:
    """Return the job's request in this server's own terms. Raises FieldError for a prompt that is not understood."""
    controls = controls_of(fields.prompt, card.config.controls)
    return GenerateRequest(
        model=card.name,
        num_images=fields.n,
        seed=fields.seed,
        controls=controls,
        candidates=_candidates(fields.quality) if card.verifier and LABEL in controls else None,
        metadata=metadata_of(fields),
    )


def metadata_of(fields: ImagesRequest) -> dict[str, JsonValue]:
    """Return the prompt and the names of its user. Raises FieldError if they are too long together."""
    sent = {"prompt": fields.prompt, "user": fields.user, "safety_identifier": fields.safety_identifier}
    metadata: dict[str, JsonValue] = {name: value for name, value in sent.items() if value}
    try:
        within_limits(metadata)
    except ValueError as error:
        raise FieldError(PROMPT, f"{error}, of prompt, user and safety_identifier together") from None
    return metadata


def _candidates(quality: Quality) -> int | None:
    """Base slices per image; None: the model's default."""
    return {Quality.LOW: 1, Quality.HIGH: MAX_CANDIDATES}.get(quality.level)
