"""Submits: POST /generate and POST /score."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response

from service.api.access import Owner
from service.api.intake import fingerprint
from service.api.openapi.responses import LONG_BODY, a_job, answer, refusals
from service.api.requests import GenerateRequest, ScoreRequest
from service.api.route import ContractRoute
from service.api.routes.dependencies import KEYED, MAX_WAIT_SECONDS, App, Forwarded, Services, body, links
from service.api.schemas import JobBody
from service.api.submission import ended, submitted
from service.contract.statuses import Status
from service.contract.transitions import Idempotency
from service.errors import (
    ConcurrencyLimitError,
    FieldError,
    KeyReusedError,
    NoImageError,
    QueueFullError,
    RateLimitedError,
    SlicesMissingError,
    UnavailableError,
    UnknownJobError,
    UnreadableError,
    UnsupportedMediaTypeError,
)

router = APIRouter(route_class=ContractRoute)


@dataclass(frozen=True, kw_only=True)
class SubmitHeaders:
    """Headers of a submit."""

    idempotency_key: str | None
    prefer: str | None
    forwarded: bool
    """Whether another cell sent the request on."""


async def submit_headers(
    forwarded: Forwarded,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    prefer: Annotated[
        str | None, Header(description="wait=N: answer when the job has ended, or after N seconds.")
    ] = None,
) -> SubmitHeaders:
    """Return the headers of a request."""
    return SubmitHeaders(idempotency_key=idempotency_key, prefer=prefer, forwarded=forwarded)


Headers = Annotated[SubmitHeaders, Depends(submit_headers)]

REFUSALS = {
    **refusals(UnreadableError, UnsupportedMediaTypeError, *KEYED, FieldError, KeyReusedError),
    **refusals(RateLimitedError, ConcurrencyLimitError, QueueFullError, UnavailableError),
    **LONG_BODY,
}


@router.post(
    "/generate",
    status_code=202,
    response_model=JobBody,
    responses={
        200: a_job(
            "The job has ended within the time of Prefer: wait.", Status.SUCCEEDED, Status.FAILED, Status.CANCELED
        ),
        202: a_job("The job is accepted.", Status.QUEUED),
        **REFUSALS,
        **refusals(UnknownJobError, SlicesMissingError, NoImageError),
    },
)
async def generate(fields: GenerateRequest, app: App, owner: Owner, response: Response, headers: Headers) -> JobBody:
    """Submit a job. It is answered at once; the images become sharper slice by slice."""
    return await answered(fields, app, owner, response=response, headers=headers)


@router.post(
    "/score",
    status_code=202,
    response_model=JobBody,
    responses={
        200: {
            "model": JobBody,
            "description": "The job has ended within the time of Prefer: wait.",
            **answer("scored"),
        },
        202: a_job("The job is accepted.", Status.QUEUED),
        **REFUSALS,
    },
)
async def score(fields: ScoreRequest, app: App, owner: Owner, response: Response, headers: Headers) -> JobBody:
    """Submit a job that computes the exact likelihood of an image: bits per dimension, by network and slice.

    The image of the job is a heat map of the bits per pixel.
    """
    return await answered(fields, app, owner, response=response, headers=headers)


async def answered(
    fields: GenerateRequest | ScoreRequest, app: Services, owner: str, *, response: Response, headers: SubmitHeaders
) -> JobBody:
    """Submit the job and return its body, once it has ended or the time of `Prefer: wait` is over."""
    key, prefer = headers.idempotency_key, headers.prefer
    once = Idempotency(key=key, fingerprint=fingerprint(fields)) if key else None
    record, replayed = await submitted(app, fields, owner=owner, idempotency=once, forwarded=headers.forwarded)
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
