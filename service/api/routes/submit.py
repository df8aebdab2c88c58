"""Submits: POST /generate."""

from __future__ import annotations

import re
import time
from typing import Annotated

from fastapi import APIRouter, Header, Response

from service.api.access import Owner
from service.api.intake import fingerprint, new_job
from service.api.openapi.responses import LONG_BODY, a_job, refusals
from service.api.requests import GenerateRequest, Variation
from service.api.route import ContractRoute
from service.api.routes.dependencies import KEYED, MAX_WAIT_SECONDS, App, Services, body, links
from service.api.schemas import JobBody
from service.api.variations import kept_slices
from service.contract.record import JobRecord
from service.contract.statuses import Status
from service.contract.transitions import Idempotency
from service.errors import (
    ConcurrencyLimitError,
    FieldError,
    KeyReusedError,
    QueueFullError,
    RateLimitedError,
    SlicesMissingError,
    UnavailableError,
    UnknownJobError,
    UnreadableError,
    UnsupportedMediaTypeError,
)
from service.jobs.requester import JobOwner

router = APIRouter(route_class=ContractRoute)


@router.post(
    "/generate",
    status_code=202,
    response_model=JobBody,
    responses={
        200: a_job(
            "The job has ended within the time of Prefer: wait.", Status.SUCCEEDED, Status.FAILED, Status.CANCELED
        ),
        202: a_job("The job is accepted.", Status.QUEUED),
        **refusals(UnreadableError, UnsupportedMediaTypeError, *KEYED, FieldError, KeyReusedError),
        **refusals(UnknownJobError, SlicesMissingError),
        **refusals(RateLimitedError, ConcurrencyLimitError, QueueFullError, UnavailableError),
        **LONG_BODY,
    },
)
async def generate(  # noqa: PLR0913, PLR0917 - one argument per parameter
    fields: GenerateRequest,
    app: App,
    owner: Owner,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    prefer: Annotated[
        str | None, Header(description="wait=N: answer when the job has ended, or after N seconds.")
    ] = None,
) -> JobBody:
    """Submit a job. It is answered at once; the images become sharper slice by slice."""
    variation = fields.start if isinstance(fields.start, Variation) else None
    kept = await kept_slices(app.jobs, variation, owner=owner) if variation else None
    what = new_job(
        fields,
        app.catalogue.card(fields.model),
        owner=owner,
        retention_seconds=app.settings.retention_seconds,
        deadline_seconds=app.settings.deadline_seconds,
        destinations=app.destinations,
        kept=kept,
    )
    once = Idempotency(key=idempotency_key, fingerprint=fingerprint(fields)) if idempotency_key else None
    record, replayed = await app.jobs.submit(what.request, idempotency=once, start=what.given)
    record = await ended(app, record, seconds=preferred_wait(prefer))
    response.headers["Location"] = links(app, record.request).here
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    if prefer and record.status.final:
        response.status_code = 200
    return await body(app, record)


async def ended(app: Services, record: JobRecord, *, seconds: float) -> JobRecord:
    """Return the record once the job has ended, or after `seconds`, or when this process is about to end."""
    deadline = time.monotonic() + seconds
    while not (record.status.final or app.event_reader.stopped) and (left := deadline - time.monotonic()) > 0:
        await app.event_reader.grown(record.request.keys.stream, record.last_id, seconds=left)
        record = await app.jobs.get(record.request.id, JobOwner(record.request.owner))
    return record


def preferred_wait(prefer: str | None) -> int:
    """Return N of `Prefer: wait=N`, at most MAX_WAIT_SECONDS; 0 without it. Others are ignored (RFC 7240)."""
    found = re.search(r"(?:^|[,;\s])wait\s*=\s*(\d{1,9})", prefer or "")
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else 0
