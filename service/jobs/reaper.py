"""The task that gives stranded jobs a new ticket: those of dead workers, those RQ lost, those nobody began in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from service.jobs.store import Jobs

logger = logging.getLogger(__name__)


async def reap(jobs: Jobs, models: Sequence[str], *, seconds: float) -> None:
    """Sweep all models every `seconds`, for ever. Several reapers do no harm: a ticket number is drawn once."""
    while True:
        await asyncio.sleep(seconds)
        for model in models:
            await sweep(jobs, model)


async def sweep(jobs: Jobs, model: str) -> None:
    """One sweep; Redis away is not the end."""
    try:
        if delivered := await jobs.sweep(model):
            logger.info("%d jobs of %s were delivered again", delivered, model)
    except RedisError as error:
        logger.warning("could not sweep %s: %s", model, error)
