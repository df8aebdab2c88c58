"""What is answered to an OpenAI client: all images at once, or each of them as an event."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any

from models.subscale import Progress
from service.api.routes.dependencies import Services
from service.contract.record import JobRecord
from service.images import generated
from service.openai.grammar import revised
from service.openai.image_file import FileOptions, final_file, image_url, partial_file
from service.openai.images_request import Background, ImagesRequest, ResponseFormat
from service.openai.images_response import (
    CompletedImageEvent,
    GeneratedImage,
    ImageLooks,
    ImagesResponse,
    PartialImageEvent,
    usage_of,
)


@dataclass(frozen=True, kw_only=True)
class ImageAnswer:
    """A job and the request that it answers. `origin` begins absolute URLs: scheme and host, as the client sent them."""

    app: Services
    record: JobRecord
    fields: ImagesRequest
    files: FileOptions
    origin: str

    async def response(self) -> ImagesResponse:
        """Return all images of a job that has succeeded."""
        request = self.record.request
        return ImagesResponse(
            created=self.record.finished_at // 1000,
            **self._looks,
            data=[await self._image(index) for index in range(request.num_images)],
            usage=usage_of(request, self.fields.prompt, range(request.num_images)),
        )

    async def partial(self, progress: Progress, index: int, number: int) -> PartialImageEvent:
        """Return the event of an unfinished image; it is the partial image `number` of image `index`."""
        return PartialImageEvent(
            b64_json=_base64(await partial_file(self.app, progress, self.files)),
            created_at=int(time.time()),
            **self._looks,
            image_index=index,
            partial_image_index=number,
        )

    async def completed(self, progress: Progress, index: int) -> CompletedImageEvent:
        """Return the event of a finished image."""
        return CompletedImageEvent(
            b64_json=await self._encoded(progress, index),
            created_at=int(time.time()),
            **self._looks,
            image_index=index,
            revised_prompt=self._revised(index),
            usage=usage_of(self.record.request, self.fields.prompt, range(index, index + 1)),
        )

    async def _image(self, index: int) -> GeneratedImage:
        if self.fields.response_format is ResponseFormat.URL:
            url = image_url(self.app, self.record, index, self.files)
            return GeneratedImage(url=self.origin + url, revised_prompt=self._revised(index))
        progress = generated((await self.app.jobs.images(self.record)).progress[index])
        return GeneratedImage(b64_json=await self._encoded(progress, index), revised_prompt=self._revised(index))

    async def _encoded(self, progress: Progress, index: int) -> str:
        return _base64(await final_file(self.app, self.record, index, progress=progress, options=self.files))

    def _revised(self, index: int) -> str:
        return revised(self.record.request.controls[index])

    @property
    def _looks(self) -> dict[str, Any]:
        return ImageLooks(
            background=Background.TRANSPARENT if self.files.transparent else Background.OPAQUE,
            output_format=self.files.format,
            quality=self.fields.quality.level,
            size=f"{self.files.size}x{self.files.size}",
        ).model_dump()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
