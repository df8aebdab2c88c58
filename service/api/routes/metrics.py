"""`GET /metrics`: what Prometheus reads. It stands apart from the contract's routes: no key, not in the schema."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError

from service.api.routes.dependencies import App, Services
from service.jobs.queue_position import Backlog

REDIS_SECONDS = 2
"""Redis may take so long; without it the figures of this process are still told."""

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(app: App) -> Response:
    """Everything counted here, and how each model stands in Redis now."""
    return Response(app.metrics.render(await backlogs(app)), media_type=CONTENT_TYPE_LATEST)


async def backlogs(app: Services) -> dict[str, Backlog] | None:
    """How each model stands; None while Redis is away."""
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            return await app.queue_estimates.backlogs(list(app.catalogue.cards))
    except (RedisError, TimeoutError):
        return None
