"""`GET /metrics`, for Prometheus. It needs no key and is not in the OpenAPI description."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError

from service.api.routes.dependencies import App, Services
from service.metrics import StoreState

REDIS_SECONDS = 2
"""Time for Redis to answer. Without it the metrics of this process are still exported."""

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(app: App) -> Response:
    """Return the metrics of this process, and the queues of all models in Redis."""
    return Response(app.metrics.render(await state_of_redis(app)), media_type=CONTENT_TYPE_LATEST)


async def state_of_redis(app: Services) -> StoreState | None:
    """Return the queues of all models and the outbox as Redis has them now; None if it does not answer."""
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            backlogs = await app.queue_estimates.backlogs(list(app.catalogue.cards))
            outbox, unstored = await app.outbox.load(), await app.jobs.unstored()
            return StoreState(backlogs=backlogs, outbox=outbox, unstored=unstored)
    except (RedisError, TimeoutError):
        return None
