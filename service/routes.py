"""The endpoints of the HTTP contract. Each reads its request, asks `Jobs`, and shapes the answer; nothing else."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse

from models.subscale import Progress
from service.access import Access, Owner, Viewer
from service.answers import EVENT_STREAM, LONG_BODY, a_job, answer, refusals
from service.catalogue import Catalogue
from service.contract import JobRecord, Status
from service.destinations import Destinations
from service.errors import (
    CrowdedError,
    FieldError,
    HurriedError,
    KeyReusedError,
    MissingKeyError,
    NotDrawnError,
    NotStartedError,
    QueueFullError,
    SignatureError,
    UnavailableError,
    UnknownJobError,
    UnknownKeyError,
    UnreadableError,
)
from service.events import BEGINNING, live
from service.feed import Feed, position
from service.intake import fingerprint, order
from service.jobs import Jobs
from service.metrics import ServiceMetrics
from service.outlook import Outlooks
from service.pictures import PictureFormat, encode, preferred
from service.schemas import (
    GenerateRequest,
    Health,
    JobBody,
    JobPage,
    ModelBody,
    ModelList,
    Readiness,
    job_url,
)
from service.settings import ServiceSettings
from service.transitions import Idempotency

MAX_WAIT_SECONDS = 60
LAST_STREAM_ID = r"^[0-9]{1,19}-[0-9]{1,19}$"
CURSOR = r"^[0-9]{1,16}:[0-9a-f]{1,64}$"
"""Not `\\d`, which means the digits of all scripts; 19 of them always fit the 64 bits that Redis reads."""

FOREVER = "private, max-age=31536000, immutable"

KEYED = (MissingKeyError, UnknownKeyError)
SIGNED = (*KEYED, SignatureError)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the endpoints work with."""

    settings: ServiceSettings
    catalogue: Catalogue
    jobs: Jobs
    feed: Feed
    access: Access
    outlooks: Outlooks
    metrics: ServiceMetrics
    destinations: Destinations | None
    """None: no webhooks."""


def parts_of(request: Request) -> Parts:
    """The parts of the running app."""
    parts: Parts = request.app.state.parts
    return parts


App = Annotated[Parts, Depends(parts_of)]
JobId = Annotated[str, Path(max_length=64)]
WaitSeconds = Annotated[int, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for a change.")]

router = APIRouter(responses=refusals(FieldError, UnavailableError))


@router.post(
    "/generate",
    status_code=202,
    response_model=JobBody,
    responses={
        200: a_job("Ended within Prefer: wait.", Status.SUCCEEDED, Status.FAILED, Status.CANCELED),
        202: a_job("Accepted.", Status.QUEUED),
        **refusals(UnreadableError, *KEYED, FieldError, KeyReusedError),
        **refusals(HurriedError, CrowdedError, QueueFullError, UnavailableError),
        **LONG_BODY,
    },
)
async def generate(  # noqa: PLR0913, PLR0917 - one argument per parameter
    asked: GenerateRequest,
    app: App,
    owner: Owner,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    prefer: Annotated[
        str | None, Header(description="wait=N: answer when the job has ended, or after N seconds.")
    ] = None,
) -> JobBody:
    """Draw pictures. Answers at once with the job, whose pictures sharpen slice by slice."""
    what = order(
        asked,
        app.catalogue.card(asked.model),
        owner=owner,
        retention_seconds=app.settings.retention_seconds,
        deadline_seconds=app.settings.deadline_seconds,
        destinations=app.destinations,
    )
    once = Idempotency(key=idempotency_key, fingerprint=fingerprint(asked)) if idempotency_key else None
    record, replayed = await app.jobs.submit(what.request, idempotency=once, given=what.given)
    record = await ended(app, record, seconds=preferred_wait(prefer))
    response.headers["Location"] = job_url(record.request.id)
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    if prefer and record.status.final:
        response.status_code = 200
    return await body(app, record)


@router.get("/jobs", response_model=JobPage, responses={200: answer("jobs"), **refusals(*KEYED)})
async def list_jobs(
    app: App,
    owner: Owner,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(pattern=CURSOR)] = None,
) -> JobPage:
    """Own jobs, newest first."""
    page = await app.jobs.page(owner=owner, status=status, limit=limit, cursor=cursor)
    return JobPage(
        jobs=[JobBody.of(record, sig=signature(app, record)) for record in page.records], next_cursor=page.cursor
    )


@router.get(
    "/jobs/{job}",
    response_model=JobBody,
    responses={
        200: a_job("As it stands.", *Status),
        304: {"description": "As you know it."},
        **refusals(*KEYED, UnknownJobError),
    },
)
async def get_job(  # noqa: PLR0913, PLR0917 - one argument per parameter
    job: JobId,
    app: App,
    owner: Owner,
    response: Response,
    wait: WaitSeconds = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> JobBody | Response:
    """How a job stands. With `wait` the answer comes when that has changed."""
    record = await app.jobs.get(job, owner=owner)
    if wait and not record.status.final and if_none_match in {None, etag(record)}:
        await app.feed.grown(record.request.keys.stream, record.last_id, seconds=wait)
        record = await app.jobs.get(job, owner=owner)
    headers = {"ETag": etag(record), "Cache-Control": "no-cache"}
    if if_none_match == etag(record):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return await body(app, record)


@router.delete(
    "/jobs/{job}",
    response_model=JobBody,
    responses={
        200: a_job("Has ended.", Status.CANCELED, Status.SUCCEEDED, Status.FAILED),
        202: a_job("Stops within one slice.", Status.RUNNING),
        **refusals(*KEYED, UnknownJobError),
    },
)
async def cancel_job(job: JobId, app: App, owner: Owner, response: Response) -> JobBody:
    """Stop a job. What is drawn stays."""
    record, pending = await app.jobs.cancel(job, owner=owner)
    if pending:
        response.status_code = 202
    return await body(app, record)


@router.get(
    "/jobs/{job}/images/{index}",
    response_class=Response,
    responses={
        200: {"content": {f.media_type: {} for f in PictureFormat}},
        304: {"description": "As you know it."},
        **refusals(*SIGNED, UnknownJobError, NotStartedError, NotDrawnError),
    },
)
async def get_image(  # noqa: PLR0913, PLR0917 - one argument per parameter
    job: JobId,
    index: Annotated[int, Path(ge=0, le=15)],
    app: App,
    viewer: Viewer,
    slices: Annotated[int | None, Query(ge=1, description="As it was after so many slices; absent: now.")] = None,
    format: PictureFormat | None = None,  # noqa: A002 - the parameter's name in the contract
    scale: Annotated[int, Query(ge=1, le=8, description="Nearest neighbour.")] = 1,
    accept: Annotated[str, Header()] = "",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A picture, as far as it is drawn."""
    record = await app.jobs.get(job, owner=viewer)
    if index >= record.request.num_images:
        raise UnknownJobError(f"{job}/images/{index}")
    kind = format or preferred(accept)
    progress = await drawn(app, record, index, slices)
    headers = caching(record, f"{index}-{progress.done}-{kind}-{scale}", progress)
    if if_none_match and headers.get("ETag") == if_none_match:
        return Response(status_code=304, headers=headers)
    picture = encode(progress, kind, scale=scale, text=provenance(record, index))
    return Response(picture, media_type=kind.media_type, headers=headers)


@router.get(
    "/jobs/{job}/events",
    response_class=Response,
    responses={
        200: EVENT_STREAM,
        204: {"description": "Nothing follows the id you have."},
        **refusals(*SIGNED, UnknownJobError),
    },
)
async def get_events(  # noqa: PLR0913, PLR0917 - one argument per parameter
    job: JobId,
    app: App,
    viewer: Viewer,
    header: Annotated[str | None, Header(alias="Last-Event-ID", pattern=LAST_STREAM_ID)] = None,
    query: Annotated[str | None, Query(alias="last_event_id", pattern=LAST_STREAM_ID)] = None,
    inline: Annotated[bool, Query(description="1: each slice event carries its picture.")] = False,
) -> Response:
    """The job live: status, slices, and exactly one of succeeded, failed, canceled."""
    record, after = await app.jobs.get(job, owner=viewer), header or query or BEGINNING
    if record.status.final and position(after) >= position(record.last_id):
        return Response(status_code=204)
    sig = signature(app, record)
    stream = live(record.request, app.jobs, app.feed, sig=sig, after=after, inline=inline)
    return EventSourceResponse(stream, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})


@router.get("/models", response_model=ModelList, responses={200: answer("models")})
async def list_models(app: App) -> ModelList:
    """What can be asked for."""
    return ModelList(models=[model_body(app.catalogue, name) for name in app.catalogue.cards])


@router.get("/models/{name}/sheet.png", response_class=FileResponse, responses=refusals(NotDrawnError))
async def get_sheet(name: str, app: App) -> FileResponse:
    """A model's sample sheet."""
    if (path := app.catalogue.sheet(name)) is None:
        raise NotDrawnError(f"There is no sample sheet of a model {name!r}.")
    return FileResponse(path, media_type="image/png")


@router.get("/healthz", response_model=Health, responses={200: answer("health")})
async def healthz() -> Health:
    """Whether the process is alive."""
    return Health()


@router.get("/readyz", response_model=Readiness, responses={200: answer("readiness")})
async def readyz(app: App) -> Readiness:
    """Whether jobs can be taken, and who would draw them."""
    return Readiness(workers={name: await app.jobs.workers(name) for name in app.catalogue.cards})


async def ended(app: Parts, record: JobRecord, *, seconds: float) -> JobRecord:
    """The record once the job has ended, or as it stands after `seconds`."""
    deadline = time.monotonic() + seconds
    while not record.status.final and (left := deadline - time.monotonic()) > 0:
        await app.feed.grown(record.request.keys.stream, record.last_id, seconds=left)
        record = await app.jobs.get(record.request.id, owner=record.request.owner)
    return record


async def body(app: Parts, record: JobRecord) -> JobBody:
    """The job as callers see it."""
    outlook = await app.outlooks.of(record)
    return JobBody.of(
        record,
        sig=signature(app, record),
        queue_position=outlook.queue_position,
        eta_seconds=outlook.eta_seconds,
    )


def signature(app: Parts, record: JobRecord) -> str:
    """What opens the job's pictures and events without a key."""
    return app.access.signature(record.request.id)


async def drawn(app: Parts, record: JobRecord, index: int, slices: int | None) -> Progress:
    """The picture now, or after `slices`. Raises NotStartedError, NotDrawnError, FieldError."""
    if slices and slices > (total := len(record.request.geometry.steps)):
        raise FieldError("slices", f"a picture of this model has {total} slices")
    if not record.done[index]:
        raise NotStartedError
    progress = (await app.jobs.drawing(record.request)).pictures[index]
    if slices and slices > progress.done:
        raise NotDrawnError(f"{progress.done} slices of this picture are drawn, not {slices}.")
    return Progress(geometry=progress.geometry, slices=progress.slices[:slices])


def etag(record: JobRecord) -> str:
    """Weak: over the status and the last entry of the stream."""
    return f'W/"{record.status}-{record.last_id}"'


def caching(record: JobRecord, variant: str, progress: Progress) -> dict[str, str]:
    """A finished picture never changes; an unfinished one is not kept."""
    if progress.next is not None:
        return {"Cache-Control": "no-store"}
    return {"Cache-Control": FOREVER, "ETag": f'"{record.request.id}-{variant}"', "Vary": "Accept"}


def provenance(record: JobRecord, index: int) -> dict[str, str]:
    """What determined a picture, for its text chunks."""
    request = record.request
    controls = ", ".join(f"{name}={value}" for name, value in sorted(request.controls[index].items()))
    return {
        "Software": "Subscale Pixel Network",
        "Model": request.model,
        "Weights": record.weights,
        "Seed": str(request.seed + index),
        "Controls": controls,
        "Temperature": str(request.temperature),
    }


def model_body(catalogue: Catalogue, name: str) -> ModelBody:
    """A model as callers see it."""
    sheet = f"/models/{name}/sheet.png" if catalogue.sheet(name) else None
    return ModelBody.of(catalogue.cards[name], default=name == catalogue.default, sheet_url=sheet)


def preferred_wait(prefer: str | None) -> int:
    """N of `Prefer: wait=N`, at most MAX_WAIT_SECONDS; 0 without it. Unknown preferences are ignored (RFC 7240)."""
    found = re.search(r"(?:^|[,;\s])wait\s*=\s*(\d{1,9})", prefer or "")
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else 0
