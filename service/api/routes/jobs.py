"""Jobs: list, read, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from redis.exceptions import RedisError

from service.api.access import JobId, Owner, Viewer
from service.api.openapi.responses import a_job, answer, refusals
from service.api.route import ContractRoute
from service.api.routes.dependencies import (
    KEYED,
    MAX_WAIT_SECONDS,
    SIGNED,
    App,
    Forwarded,
    Services,
    body,
    known,
    links,
)
from service.api.schemas import JobBody, JobPage
from service.cells.merged_list import merged
from service.contract.record import JobRecord
from service.contract.statuses import Status
from service.errors import ListingLimitError, UnavailableError, UnknownJobError, UnreadableJobError
from service.jobs.requester import JobOwner

CURSOR = r"^[0-9]{1,16}:[0-9a-f]{1,64}$"
"""Not `\\d`, which means the digits of all scripts."""


WaitSeconds = Annotated[int, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for a change of the job.")]

router = APIRouter(route_class=ContractRoute)


@router.get("/jobs", response_model=JobPage, responses={200: answer("jobs"), **refusals(*KEYED, ListingLimitError)})
async def list_jobs(  # noqa: PLR0913, PLR0917 - one argument per parameter
    request: Request,
    app: App,
    owner: Owner,
    forwarded: Forwarded,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(pattern=CURSOR)] = None,
) -> JobPage:
    """Return own jobs, newest first. A page may hold fewer than `limit`: go on while `next_cursor` is set."""

    async def here() -> JobPage:
        page = await app.listing.page(
            owner=owner, status=status, limit=limit, cursor=cursor, gone=request.is_disconnected
        )
        jobs = [JobBody.of(record, links(app, record.request)) for record in page.records]
        return JobPage(jobs=jobs, next_cursor=page.cursor)

    if forwarded or not app.cells.others:
        return await here()
    return await list_of_all_cells(app, request, here(), limit=limit)


@router.get(
    "/jobs/{job}",
    response_model=JobBody,
    responses={
        200: a_job("The job.", *Status),
        304: {"description": "Not changed."},
        **refusals(*SIGNED, UnknownJobError, UnreadableJobError),
    },
)
async def get_job(  # noqa: PLR0913, PLR0917 - one argument per parameter
    job: JobId,
    app: App,
    viewer: Viewer,
    response: Response,
    wait: WaitSeconds = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> JobBody | Response:
    """Return a job; without a key, by the signature in its URLs, its `metadata` is empty. With `wait` the answer comes
    when the job has changed, or after so many seconds.
    """
    record = await app.jobs.get(job, viewer)
    if wait and not record.status.final and (if_none_match is None or known(if_none_match, etag(record))):
        await app.event_reader.grown(record.request.keys.stream, record.last_id, seconds=wait)
        record = await app.jobs.get(job, viewer)
    headers = {"ETag": etag(record), "Cache-Control": "no-cache"}
    if known(if_none_match, etag(record)):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    answer = await body(app, record)
    return answer if isinstance(viewer, JobOwner) else answer.model_copy(update={"metadata": {}})


@router.delete(
    "/jobs/{job}",
    response_model=JobBody,
    responses={
        200: a_job("The job has ended.", Status.CANCELED, Status.SUCCEEDED, Status.FAILED),
        202: a_job("A worker still has to stop, within one slice.", Status.RUNNING),
        204: {"description": "Erased, or there is no such job any more."},
        **refusals(*KEYED, UnknownJobError, UnreadableJobError),
    },
)
async def cancel_job(
    job: JobId,
    app: App,
    owner: Owner,
    response: Response,
    erase: Annotated[bool, Query(description="true: also delete the job, its images and its events.")] = False,
) -> JobBody | Response:
    """Cancel a job; its slices stay, unless it is erased."""
    if erase:
        with suppress(UnknownJobError):
            await app.jobs.erase(job, owner=owner)
        return Response(status_code=204)
    record, pending = await app.jobs.cancel(job, owner=owner)
    if pending:
        response.status_code = 202
    return await body(app, record)


async def list_of_all_cells(app: Services, request: Request, here: Awaitable[JobPage], *, limit: int) -> JobPage:
    """Return the merged page of all cells; without this one if its Redis does not answer. Raises UnavailableError."""
    pages = dict[str, JobPage | None].fromkeys(app.cells.urls)
    with suppress(RedisError):
        pages[app.cells.own] = await here
    query, headers = request.scope["query_string"], request.headers.raw
    others = await asyncio.gather(*(app.peers.jobs(cell, query=query, headers=headers) for cell in app.cells.others))
    pages |= dict(zip(app.cells.others, others, strict=True))
    if all(page is None for page in pages.values()):
        raise UnavailableError
    return merged(pages, limit=limit)


def etag(record: JobRecord) -> str:
    """Return the weak ETag of a job: its status and the last entry of its stream."""
    return f'W/"{record.status}-{record.last_id}"'
