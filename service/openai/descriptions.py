"""OpenAPI descriptions and examples of the endpoints below /v1."""

from __future__ import annotations

from typing import Final

from fastapi.openapi.constants import REF_TEMPLATE
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel

from service.api.openapi.examples import ERRORS, PNG_START, Json, slug
from service.api.openapi.responses import Answer, answer, named
from service.images import ImageFormat
from service.openai.errors import error_of, translated
from service.openai.image_stream import error_event, image_event
from service.openai.images_request import Background, Quality
from service.openai.images_response import (
    CompletedImageEvent,
    GeneratedImage,
    ImageEventType,
    ImageLooks,
    ImagesResponse,
    OpenAIError,
    OpenAIModel,
    OpenAIModelList,
    PartialImageEvent,
    TokenDetails,
    TokenUsage,
)

IMAGE_EVENTS: Final[tuple[type[BaseModel], ...]] = (PartialImageEvent, CompletedImageEvent, OpenAIError)
"""Data of the events of a stream, by schema."""

SHOWN: Final = {
    *("key-missing", "invalid-request", "idempotency-key-reused", "unreadable"),
    *("rate-limited", "queue-full", "unavailable"),
}
"""Problems whose translation is an example."""

REVISED: Final = "an icon of home, hue blue, tile rounded"
CREATED: Final = 1_772_443_804
LOOKS: Final = ImageLooks(
    background=Background.OPAQUE, output_format=ImageFormat.PNG, quality=Quality.MEDIUM, size="1024x1024"
).model_dump()
USAGE: Final = TokenUsage(
    input_tokens=7,
    input_tokens_details=TokenDetails(text_tokens=7, image_tokens=0),
    output_tokens=26_880,
    total_tokens=26_887,
)
RESPONSE: Final = ImagesResponse(
    created=CREATED, data=[GeneratedImage(b64_json=PNG_START, revised_prompt=REVISED)], usage=USAGE, **LOOKS
)
PARTIAL: Final = PartialImageEvent(
    b64_json=PNG_START, created_at=CREATED, image_index=0, partial_image_index=0, **LOOKS
)
COMPLETED: Final = CompletedImageEvent(
    b64_json=PNG_START, created_at=CREATED, image_index=0, revised_prompt=REVISED, usage=USAGE, **LOOKS
)
MODEL: Final = OpenAIModel(id="symbols-64", created=CREATED)


def written(body: BaseModel) -> Json:
    """Return a body as it is sent."""
    return body.model_dump(mode="json", exclude_none=True)


ERROR_EXAMPLES: Final[dict[str, Json]] = {
    f"openai-error-{slug(error)}": translated(error_of(error))[1].model_dump(mode="json")
    for error in ERRORS
    if slug(error) in SHOWN
}
OPENAI_EXAMPLES: Final[dict[str, Json | str]] = {
    "openai-images": written(RESPONSE),
    "openai-event-partial": image_event(PARTIAL).decode(),
    "openai-event-completed": image_event(COMPLETED).decode(),
    "openai-event-error": error_event(error_of(next(each for each in ERRORS if slug(each) == "unavailable"))).decode(),
    "openai-model": written(MODEL),
    "openai-models": written(OpenAIModelList(data=[MODEL])),
    **ERROR_EXAMPLES,
}
"""All examples by name, as components of the description."""

AN_IMAGE_EVENT: Final = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": [*ImageEventType, "error"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"anyOf": [{"$ref": REF_TEMPLATE.format(model=each.__name__)} for each in IMAGE_EVENTS]},
        },
    },
    "required": ["event", "data"],
}

IMAGES: Final[Answer] = {
    "description": "All images; with `stream`, events: partial and finished images, and `error` if a job fails.",
    "content": {
        **answer("openai-images")["content"],
        EventSourceResponse.media_type: {
            "itemSchema": AN_IMAGE_EVENT,
            "examples": named(*(name for name in OPENAI_EXAMPLES if name.startswith("openai-event-"))),
        },
    },
}
ANY_ERROR: Final[Answer] = {"model": OpenAIError, "description": "Refused.", **answer(*ERROR_EXAMPLES)}
