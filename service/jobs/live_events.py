"""Events of a job as they happen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from service.contract.request import JobRequest
from service.contract.stream import Event

if TYPE_CHECKING:
    from service.jobs.event_reader import EventReader
    from service.jobs.store import Jobs

KEEPALIVE_SECONDS = 15
BEGINNING = "0-0"


async def live_events(
    request: JobRequest, jobs: Jobs, reader: EventReader, *, after: str = BEGINNING
) -> AsyncIterator[Event | None]:
    """Yield every event after the id `after`, and None whenever KEEPALIVE_SECONDS pass without one.

    Ends after the final event; without one if this process stops or the job is gone. Raises RedisError and
    UnreadableJobError.
    """
    while True:
        events = await jobs.events(request, after=after)
        if not events and (reader.stopped or not await jobs.exists(request.id)):
            return
        for event in events:
            after = event.id
            yield event
            if event.kind.final:
                return
        while not await reader.grown(request.keys.stream, after, seconds=KEEPALIVE_SECONDS):
            if reader.stopped:
                return
            yield None
