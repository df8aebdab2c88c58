"""A job's stream as server-sent events. The ids are the stream's own, so any process can go on where another ended."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from redis.exceptions import RedisError

from service.api.schemas import SliceBody
from service.contract.request import JobRequest
from service.contract.statuses import EventKind
from service.contract.stream import Event, JobImages, replay
from service.errors import UnreadableJobError
from service.images import ImageFormat, encode
from service.problem_body import problem_of
from service.urls import image_url, job_url

if TYPE_CHECKING:
    from service.jobs.event_reader import EventReader
    from service.jobs.store import Jobs

KEEPALIVE_SECONDS = 15
BEGINNING = "0-0"


async def live(  # noqa: PLR0913 - what is told, from where, and how
    request: JobRequest, jobs: Jobs, reader: EventReader, *, sig: str, after: str = BEGINNING, inline: bool = False
) -> AsyncIterator[bytes]:
    """Everything after the id `after`, as it happens, until the job's end; `sig` opens the pictures' URLs. If Redis
    goes away the stream closes, and the client comes back with its last id.
    """
    try:
        images = await seen(request, jobs, after) if inline else None
        while True:
            for event in await jobs.events(request, after=after):
                images, after = images and images.after(event), event.id
                yield message(request, event, images, sig=sig)
                if event.kind.final:
                    return
            while not await reader.grown(request.keys.stream, after, seconds=KEEPALIVE_SECONDS):
                if reader.stopped or not await jobs.exists(request.id):
                    return
                yield KEEPALIVE_COMMENT
    except (RedisError, UnreadableJobError):
        return


async def seen(request: JobRequest, jobs: Jobs, until: str) -> JobImages:
    """The pictures as the client last saw them."""
    return replay(request, await jobs.events(request, until=until))


def message(request: JobRequest, event: Event, images: JobImages | None, *, sig: str) -> bytes:
    """One event on the wire."""
    body = data(request, event, images, sig=sig)
    return format_sse_event(event=event.kind, id=event.id, data_str=json.dumps(body))


def data(request: JobRequest, event: Event, images: JobImages | None, *, sig: str) -> dict[str, Any]:
    """What an event tells, beside its kind."""
    match event.kind:
        case EventKind.SLICE:
            return slice_body(request, event, images, sig=sig).model_dump(mode="json", exclude_none=True)
        case EventKind.STATUS:
            return {"status": event.status}
        case EventKind.FAILED if event.error:
            return problem_of(event.error, job_url(request.id)).model_dump(mode="json", exclude_none=True)
        case _:
            return {"url": job_url(request.id)}


def slice_body(request: JobRequest, event: Event, images: JobImages | None, *, sig: str) -> SliceBody:
    """A slice event; with `images` the picture itself comes along. Raises ValueError for another kind of event."""
    if (entry := event.slice) is None:
        raise ValueError(f"{event.kind} is no slice")
    picture = images and encode(images.progress[entry.image], ImageFormat.PNG, text={})
    return SliceBody(
        index=entry.image,
        stage=entry.stage,
        slices_done=entry.step + 1,
        slices_total=len(request.geometry.steps),
        url=image_url(request.id, entry.image, entry.step + 1, sig=sig),
        score=entry.score,
        image_b64=base64.b64encode(picture).decode() if picture else None,
    )
