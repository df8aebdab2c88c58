"""A job's stream as server-sent events. The ids are the stream's own, so any process can go on where another ended."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from service.api.schemas import SliceEvent
from service.contract.request import JobRequest
from service.contract.statuses import EventKind
from service.contract.stream import Event, JobImages, replay
from service.errors import UnreadableJobError
from service.images import ImageFormat, encode
from service.jobs.live_events import BEGINNING, live_events
from service.jobs.store import UNAVAILABLE
from service.problem_body import problem_of
from service.urls import JobLinks

if TYPE_CHECKING:
    from service.jobs.event_reader import EventReader
    from service.jobs.store import Jobs

RETRY_SECONDS = 2
"""Pause before a client of a stream that failed at its start connects again."""


async def live(  # noqa: PLR0913 - the job, its readers, and the form of the events
    request: JobRequest,
    jobs: Jobs,
    reader: EventReader,
    *,
    links: JobLinks,
    after: str = BEGINNING,
    inline: bool = False,
) -> AsyncIterator[bytes]:
    """Yield everything after the id `after`, as it happens, until the end of the job or of this process. If Redis
    fails the stream closes, and the client reconnects with its last id.
    """
    try:
        images = await seen(request, jobs, after) if inline else None
        async for event in live_events(request, jobs, reader, after=after):
            if event is None:
                yield KEEPALIVE_COMMENT
                continue
            images = images and images.after(event)
            yield message(request, event, images, links)
    except (*UNAVAILABLE, UnreadableJobError):
        return


async def interrupted() -> AsyncIterator[bytes]:
    """Yield a stream without events that asks for another connection. After an error response EventSource never connects
    again (HTML, 9.2.3), so a fault that passes must not be one.
    """
    yield f"retry: {RETRY_SECONDS * 1000}\n\n".encode()


async def seen(request: JobRequest, jobs: Jobs, until: str) -> JobImages:
    """Return the images as the client last saw them."""
    return replay(request, await jobs.events(request, until=until))


def message(request: JobRequest, event: Event, images: JobImages | None, links: JobLinks) -> bytes:
    """Return one event as text/event-stream."""
    return format_sse_event(event=event.kind, id=event.id, data_str=data(request, event, images, links))


def data(request: JobRequest, event: Event, images: JobImages | None, links: JobLinks) -> str:
    """Return the data of an event, as JSON."""
    match event.kind:
        case EventKind.SLICE:
            return slice_body(request, event, images, links).model_dump_json(exclude_none=True)
        case EventKind.STATUS:
            return json.dumps({"status": event.status})
        case EventKind.FAILED if event.error:
            return problem_of(event.error, links.here).model_dump_json(exclude_none=True)
        case _:
            return json.dumps({"url": links.urls.self})


def slice_body(request: JobRequest, event: Event, images: JobImages | None, links: JobLinks) -> SliceEvent:
    """Return the data of a slice event; with `images` it carries the image. Raises ValueError for another kind of event."""
    if (entry := event.slice) is None:
        raise ValueError(f"{event.kind} is no slice")
    image = images and encode(images.progress[entry.image], ImageFormat.PNG, text={})
    return SliceEvent(
        index=entry.image,
        stage=entry.stage,
        slices_done=entry.step + 1,
        slices_total=len(request.geometry.steps),
        url=links.image(entry.image, entry.step + 1),
        score=entry.score,
        image_b64=base64.b64encode(image).decode() if image else None,
    )
