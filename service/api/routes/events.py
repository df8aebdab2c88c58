"""Events of a job."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.sse import EventSourceResponse

from service.api.access import JobId, Viewer
from service.api.openapi.responses import EVENT_STREAM, refusals
from service.api.route import ContractRoute
from service.api.routes.dependencies import SIGNED, App, links
from service.api.sse import BEGINNING, live
from service.errors import UnknownJobError, UnreadableJobError
from service.jobs.event_reader import position

LAST_STREAM_ID = r"^[0-9]{1,19}-[0-9]{1,19}$"
"""19 digits always fit the 64 bits that Redis reads. Not `\\d`, which means the digits of all scripts."""

router = APIRouter(route_class=ContractRoute)


@router.get(
    "/jobs/{job}/events",
    response_class=Response,
    responses={
        200: EVENT_STREAM,
        204: {"description": "No event follows this id: the job has ended."},
        **refusals(*SIGNED, UnknownJobError, UnreadableJobError),
    },
)
async def get_events(  # noqa: PLR0913, PLR0917 - one argument per parameter
    job: JobId,
    app: App,
    viewer: Viewer,
    header: Annotated[str | None, Header(alias="Last-Event-ID", pattern=LAST_STREAM_ID)] = None,
    query: Annotated[str | None, Query(alias="last_event_id", pattern=LAST_STREAM_ID)] = None,
    inline: Annotated[bool, Query(description="1: each slice event carries the image so far.")] = False,
) -> Response:
    """Stream the events of a job: status, slices, and exactly one of succeeded, failed, canceled."""
    record, after = await app.jobs.get(job, viewer), header or query or BEGINNING
    after = min(after, record.last_id, key=position)  # no id is later, unless Redis has lost its data
    if record.status.final and position(after) >= position(record.last_id):
        return Response(status_code=204)
    stream = live(
        record.request, app.jobs, app.event_reader, links=links(app, record.request), after=after, inline=inline
    )
    return EventSourceResponse(stream, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
