"""Server-sent events of an image request: partial images, finished images, and an error if there will be no more."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel

from service.api.problems import INTERNAL_ERROR
from service.api.routes.dependencies import Services
from service.contract.record import Problem
from service.contract.request import JobRequest
from service.contract.statuses import EventKind
from service.contract.stream import Event, JobImages
from service.errors import ServiceError, UnknownJobError
from service.images import generated
from service.jobs.live_events import BEGINNING, live_events
from service.jobs.store import UNAVAILABLE
from service.openai.errors import CANCELED, error_of, translated
from service.openai.image_answer import ImageAnswer
from service.problem_body import ProblemBody, problem_of

logger = logging.getLogger(__name__)

STOPPING = Problem(
    type="about:blank",
    title=HTTPStatus(503).phrase,
    detail="The server is about to stop. The images are still generated: repeat the request with the same Idempotency-Key.",
    status=503,
)
RETRY_SECONDS = 1
"""Pause before the next try while Redis is not available."""

BROKEN = Problem(type="about:blank", title=HTTPStatus(500).phrase, detail=INTERNAL_ERROR)


async def image_stream(answer: ImageAnswer) -> AsyncIterator[bytes]:
    """Yield the events of a job's images until all are finished, or one error. The client may leave; the job goes on."""
    try:
        async for event in ImageStream(answer).events():
            yield event
    except ServiceError as error:
        yield error_event(error_of(error))
    except Exception:  # whatever it is: the response has started, so an event is the only answer
        logger.exception("stream of job %s failed", answer.record.request.id)
        yield error_event(problem_of(BROKEN, ""))


class ImageStream:
    """The events of one job. Each partial image and each finished one is sent once, even if the job starts again."""

    def __init__(self, answer: ImageAnswer) -> None:
        self._answer = answer
        self._images = JobImages.blank(answer.record.request)
        slices = answer.record.request.geometry.slices
        self._numbers = {done: n for n, done in enumerate(partial_states(slices, answer.fields.partial_images))}
        self._sent: set[tuple[int, int]] = set()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield events and keepalive comments. Raises ServiceError."""
        app, request = self._answer.app, self._answer.record.request
        async for event in all_events(request, app):
            if event is None:
                yield KEEPALIVE_COMMENT
                continue
            self._images = self._images.after(event)
            if image := await self._image_event(event):
                yield image_event(image)
            if event.kind.final:
                if problem := failure(event):
                    yield error_event(problem_of(problem, ""))
                return
        if not app.event_reader.stopped:
            raise UnknownJobError(request.id)
        yield error_event(problem_of(STOPPING, ""))

    async def _image_event(self, event: Event) -> BaseModel | None:
        """The event to send after a slice, if it is one of those."""
        if event.slice is None:
            return None
        index, progress = event.slice.image, generated(self._images.progress[event.slice.image])
        if (index, progress.done) in self._sent:
            return None
        self._sent.add((index, progress.done))
        if progress.next is None:
            return await self._answer.completed(progress, index)
        number = self._numbers.get(progress.done)
        return None if number is None else await self._answer.partial(progress, index, number)


async def all_events(request: JobRequest, app: Services) -> AsyncIterator[Event | None]:
    """Yield what `live_events` yields. While Redis is not available it waits: OpenAI's clients cannot resume a stream."""
    after = BEGINNING
    while True:
        try:
            async for event in live_events(request, app.jobs, app.event_reader, after=after):
                after = event.id if event else after
                yield event
        except UNAVAILABLE:
            if app.event_reader.stopped:
                return
            yield None
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


def partial_states(coarse_slices: int, count: int) -> list[int]:
    """Return after how many slices an image is sent: at equal distances, the last time with all its coarse slices.

    While fine slices come, an image in raster order has stripes. A model with fewer coarse slices has fewer such states.
    """
    return sorted({max(1, round(coarse_slices * (number + 1) / count)) for number in range(count)})


def failure(event: Event) -> Problem | None:
    """Return why a job ended without its images; None if it succeeded."""
    return {EventKind.CANCELED: CANCELED, EventKind.FAILED: event.error or BROKEN}.get(event.kind)


def image_event(event: BaseModel) -> bytes:
    """Return an event as text/event-stream."""
    body = event.model_dump(mode="json")
    return format_sse_event(event=body["type"], data_str=json.dumps(body))


def error_event(problem: ProblemBody) -> bytes:
    """Return the last event of a stream that fails."""
    _, error = translated(problem)
    return format_sse_event(event="error", data_str=json.dumps({"type": "error", **error.model_dump(mode="json")}))
