"""`GET /metrics`: what Prometheus reads. It stands apart from the contract's routes: no key, not in the schema."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError

from service.api.routes.dependencies import App, Services
from service.metrics import StoreState

REDIS_SECONDS = 2
"""Redis may take so long; without it the figures of this process are still told."""

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(app: App) -> Response:
    """Everything counted here, and how each model stands in Redis now."""
    return Response(app.metrics.render(await state_of_redis(app)), media_type=CONTENT_TYPE_LATEST)


async def state_of_redis(app: Services) -> StoreState | None:
    """Return the queues of all models and the outbox as Redis has them now; None if it does not answer."""
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            backlogs = await app.queue_estimates.backlogs(list(app.catalogue.cards))
            return StoreState(backlogs=backlogs, outbox=await app.outbox.load())
    except (RedisError, TimeoutError):
        return None
