"""Events of a job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.sse import EventSourceResponse

from service.api.access import JobId, Viewer
from service.api.openapi.responses import EVENT_STREAM, refusals
from service.api.route import ContractRoute
from service.api.routes.dependencies import SIGNED, App, links
from service.api.sse import interrupted, live
from service.errors import UnknownJobError, UnreadableJobError
from service.jobs.event_reader import position
from service.jobs.live_events import BEGINNING
from service.jobs.store import UNAVAILABLE

LAST_STREAM_ID = r"^([0-9]{1,19}-[0-9]{1,19})?$"
"""Empty, as EventSource has it before the first event, or an id: 19 digits always fit the 64 bits that Redis reads. Not
`\\d`, which means the digits of all scripts.
"""

router = APIRouter(route_class=ContractRoute)


@router.get(
    "/jobs/{job}/events",
    response_class=Response,
    responses={
        200: EVENT_STREAM,
        204: {"description": "No event follows this id: the job has ended."},
        **refusals(*SIGNED, UnknownJobError),
    },
)
async def get_events(  # noqa: PLR0913, PLR0917 - one argument per parameter
    job: JobId,
    app: App,
    viewer: Viewer,
    header: Annotated[str | None, Header(alias="Last-Event-ID", pattern=LAST_STREAM_ID)] = None,
    query: Annotated[str | None, Query(alias="last_event_id", pattern=LAST_STREAM_ID)] = None,
    camel: Annotated[str | None, Query(alias="lastEventId", pattern=LAST_STREAM_ID)] = None,
    inline: Annotated[bool, Query(description="1: each slice event carries the image so far.")] = False,
) -> Response:
    """Stream the events of a job: status, slices, and exactly one of succeeded, failed, canceled."""
    try:
        record = await app.jobs.get(job, viewer)
    except (*UNAVAILABLE, UnreadableJobError):
        return stream_of(interrupted())
    after = header or query or camel or BEGINNING
    after = min(after, record.last_id, key=position)  # no id is later, unless Redis has lost its data
    if record.status.final and position(after) >= position(record.last_id):
        return Response(status_code=204)
    return stream_of(
        live(record.request, app.jobs, app.event_reader, links=links(app, record.request), after=after, inline=inline)
    )


def stream_of(events: AsyncIterator[bytes]) -> EventSourceResponse:
    """Return a response that no cache keeps and no proxy holds back."""
    return EventSourceResponse(events, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
