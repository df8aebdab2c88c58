"""Answers of the OpenAI Images API: images, events of a stream, and models."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

from service.contract.request import JobRequest
from service.images import ImageFormat
from service.openai.images_request import Background, Quality


class TokenDetails(BaseModel):
    """Tokens by kind."""

    text_tokens: int
    image_tokens: int


class TokenUsage(BaseModel):
    """Work done. An output token is one sub-pixel value that a network generated; an input token is a word."""

    input_tokens: int
    input_tokens_details: TokenDetails
    output_tokens: int
    total_tokens: int


class GeneratedImage(BaseModel):
    """One image, as `b64_json` or `url`. `revised_prompt` is what was understood of the prompt."""

    b64_json: str | None = Field(default=None, description="Base64 of the file.")
    url: str | None = Field(default=None, description="Absolute and, with keys configured, signed.")
    revised_prompt: str


class ImageLooks(BaseModel):
    """What all images of an answer have in common."""

    background: Background
    output_format: ImageFormat
    quality: Quality
    size: str


class ImagesResponse(ImageLooks):
    """All images of a request."""

    created: int = Field(description="Seconds since 1970.")
    data: list[GeneratedImage]
    usage: TokenUsage


class ImageEventType(StrEnum):
    """Types of the events of a stream."""

    PARTIAL = "image_generation.partial_image"
    COMPLETED = "image_generation.completed"


class ImageEvent(ImageLooks):
    """Members of both events. `image_index` is not OpenAI's: with n above 1 it says which image this is."""

    b64_json: str
    created_at: int = Field(description="Seconds since 1970.")
    image_index: int


class PartialImageEvent(ImageEvent):
    """An unfinished image, which has no transparency yet."""

    type: Literal[ImageEventType.PARTIAL] = ImageEventType.PARTIAL
    partial_image_index: int


class CompletedImageEvent(ImageEvent):
    """A finished image."""

    type: Literal[ImageEventType.COMPLETED] = ImageEventType.COMPLETED
    revised_prompt: str
    usage: TokenUsage


class OpenAIModel(BaseModel):
    """A model, as OpenAI's clients list it."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since 1970: when the model was put on this server.")
    owned_by: str = "subscale"


class OpenAIModelList(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[OpenAIModel]


class ErrorMembers(BaseModel):
    """Members of an error. Branch on `code`; `param` is the wrong field."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """Every answer from 400 on, and the last event of a stream that fails."""

    error: ErrorMembers


def usage_of(request: JobRequest, prompt: str, images: range) -> TokenUsage:
    """Return the usage of some images of a job."""
    height, width, channels = request.geometry.slice_shape
    slices = sum(len(request.geometry.steps) + request.extra_slices(image) for image in images)
    words, generated = len(prompt.split()), slices * height * width * channels
    return TokenUsage(
        input_tokens=words,
        input_tokens_details=TokenDetails(text_tokens=words, image_tokens=0),
        output_tokens=generated,
        total_tokens=words + generated,
    )
