"""Submission of a job, and the wait for its end: the same for every endpoint that makes jobs."""

from __future__ import annotations

import time

from service.api.intake import new_job
from service.api.requests import GenerateRequest, ScoreRequest, Variation
from service.api.routes.dependencies import Services
from service.api.variations import kept_slices
from service.cells.cell_map import OtherCellError
from service.contract.record import JobRecord
from service.contract.transitions import Idempotency
from service.jobs.requester import JobOwner


async def submitted(
    app: Services,
    fields: GenerateRequest | ScoreRequest,
    *,
    owner: str,
    idempotency: Idempotency | None,
    forwarded: bool,
) -> tuple[JobRecord, bool]:
    """Return the job, and whether it existed before. `forwarded`: another cell sent the request on.

    Raises OtherCellError, FieldError, UnknownJobError, NoImageError, SlicesMissingError and the errors of `Jobs.submit`.
    """
    start = fields.start if isinstance(fields, GenerateRequest) else None
    variation = start if isinstance(start, Variation) else None
    key = idempotency.key if idempotency else None
    cell = app.cells.of_job(variation.job) if variation else app.cells.home(owner=owner, key=key)
    if cell != app.cells.own and not forwarded:
        raise OtherCellError(cell)
    kept = await kept_slices(app.jobs, variation, owner=owner) if variation else None
    what = new_job(
        fields,
        app.catalogue.card(fields.model),
        id=app.cells.new_id(),
        owner=owner,
        retention_seconds=app.settings.retention_seconds,
        deadline_seconds=app.settings.deadline_seconds,
        destinations=app.destinations,
        kept=kept,
    )
    second = "" if variation else app.cells.second(owner=owner, key=key, forwarded=forwarded)
    return await app.jobs.submit(what.request, idempotency=idempotency, start=what.given, second=second)


async def ended(app: Services, record: JobRecord, *, seconds: float) -> JobRecord:
    """Return the record once the job has ended, or after `seconds`, or when this process is about to end."""
    deadline = time.monotonic() + seconds
    while not (record.status.final or app.event_reader.stopped) and (left := deadline - time.monotonic()) > 0:
        await app.event_reader.grown(record.request.keys.stream, record.last_id, seconds=left)
        record = await app.jobs.get(record.request.id, JobOwner(record.request.owner))
    return record
