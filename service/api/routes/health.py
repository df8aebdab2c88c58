"""Health and readiness."""

from __future__ import annotations

from fastapi import APIRouter

from service.api.openapi.responses import answer
from service.api.route import ContractRoute
from service.api.routes.dependencies import App
from service.api.schemas import Health, Readiness

router = APIRouter(route_class=ContractRoute)


@router.get("/healthz", response_model=Health, responses={200: answer("health")})
async def healthz() -> Health:
    """Return 200 while the process answers."""
    return Health()


@router.get("/readyz", response_model=Readiness, responses={200: answer("readiness")})
async def readyz(app: App) -> Readiness:
    """Return whether jobs are accepted: 503 while Redis refuses writes."""
    await app.jobs.check_writable()
    backlogs = await app.queue_estimates.backlogs(list(app.catalogue.cards))
    return Readiness(workers={name: backlog.workers for name, backlog in backlogs.items()}, tasks=app.supervisor.states)
