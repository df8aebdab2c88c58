"""Dependencies and small functions that all endpoints share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.api.access import Access
from service.api.schemas import JobBody, LikelihoodBody
from service.catalogue import Catalogue
from service.cells.cell_map import CELL_HEADER, CellMap
from service.cells.peers import Peers
from service.contract.likelihood import Likelihood
from service.contract.record import JobRecord
from service.contract.request import JobRequest
from service.contract.statuses import Status
from service.destinations import Destinations
from service.errors import MissingKeyError, SignatureError, UnknownKeyError
from service.jobs.event_reader import EventReader
from service.jobs.listing import Listing
from service.jobs.queue_position import QueueEstimates
from service.jobs.refusal_counter import RefusalCounter
from service.jobs.store import Jobs
from service.metrics import ServiceMetrics
from service.settings import ServiceSettings
from service.supervisor import Supervisor
from service.urls import JobLinks
from service.vector.exporter import Exporter
from service.webhooks.outbox import Outbox

MAX_WAIT_SECONDS = 60
KEYED = (MissingKeyError, UnknownKeyError)
SIGNED = (*KEYED, SignatureError)


@dataclass(frozen=True, kw_only=True)
class Services:
    """Objects that the endpoints work with."""

    settings: ServiceSettings
    catalogue: Catalogue
    jobs: Jobs
    listing: Listing
    event_reader: EventReader
    access: Access
    queue_estimates: QueueEstimates
    metrics: ServiceMetrics
    refusals: RefusalCounter
    exporter: Exporter
    supervisor: Supervisor
    destinations: Destinations | None
    """None: no webhooks."""

    outbox: Outbox
    cells: CellMap
    peers: Peers

    def end_waits(self) -> None:
        """End long polls and event streams: the process is about to end."""
        self.event_reader.stop()
        self.peers.stop()


def services_of(request: Request) -> Services:
    """Return the services of the running app."""
    services: Services = request.app.state.services
    return services


async def services(request: Request) -> Services:
    """Return the services of the running app, as a dependency. FastAPI runs one that is not async in a thread."""
    return services_of(request)


async def is_forwarded(request: Request) -> bool:
    """Return whether another cell sent the request on, so that it is answered here."""
    return CELL_HEADER in request.headers


App = Annotated[Services, Depends(services)]
Forwarded = Annotated[bool, Depends(is_forwarded)]


async def body(app: Services, record: JobRecord) -> JobBody:
    """Return the job as callers see it."""
    estimate = await app.queue_estimates.of(record)
    return JobBody.of(
        record,
        links(app, record.request),
        queue_position=estimate.queue_position,
        eta_seconds=estimate.eta_seconds,
        likelihood=await likelihood(app, record),
    )


async def likelihood(app: Services, record: JobRecord) -> LikelihoodBody | None:
    """Return the result of a score job that has succeeded, else None."""
    if not record.request.scored or record.status is not Status.SUCCEEDED:
        return None
    (found,) = (await app.jobs.images(record)).progress
    return LikelihoodBody.of(found) if isinstance(found, Likelihood) else None


def links(app: Services, request: JobRequest) -> JobLinks:
    """Return the URLs of a job."""
    return JobLinks(job=request.id, root=app.settings.root_path, sig=app.access.signature(request.id))


def known(if_none_match: str | None, etag: str) -> bool:
    """Return whether an If-None-Match header names `etag`, among others, weakly, or by `*` (RFC 9110, 13.1.2)."""
    named = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]
    return "*" in named or etag.removeprefix("W/") in named
