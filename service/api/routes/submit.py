"""Submits: POST /generate."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Response

from service.api.access import Owner
from service.api.intake import fingerprint
from service.api.openapi.responses import LONG_BODY, a_job, refusals
from service.api.requests import GenerateRequest
from service.api.route import ContractRoute
from service.api.routes.dependencies import KEYED, MAX_WAIT_SECONDS, App, body, links
from service.api.schemas import JobBody
from service.api.submission import ended, submitted
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
    once = Idempotency(key=idempotency_key, fingerprint=fingerprint(fields)) if idempotency_key else None
    record, replayed = await submitted(app, fields, owner=owner, idempotency=once)
    record = await ended(app, record, seconds=preferred_wait(prefer))
    response.headers["Location"] = links(app, record.request).here
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    if prefer and record.status.final:
        response.status_code = 200
    return await body(app, record)


def preferred_wait(prefer: str | None) -> int:
    """Return N of `Prefer: wait=N`, at most MAX_WAIT_SECONDS; 0 without it. Others are ignored (RFC 7240)."""
    found = re.search(r"(?:^|[,;\s])wait\s*=\s*(\d{1,9})", prefer or "")
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else 0
