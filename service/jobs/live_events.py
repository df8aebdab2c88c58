"""Events of a job as they happen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from service.contract.request import JobRequest
from service.contract.stream import Event
from service.jobs.store import read_events

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
    events = await jobs.events(request, after=after)
    while events or (not reader.stopped and await jobs.exists(request.id)):
        for event in events:
            after = event.id
            yield event
            if event.kind.final:
                return
        while (entries := await reader.entries(request.keys.stream, after, seconds=KEEPALIVE_SECONDS)) is None:
            if reader.stopped:
                return
            yield None
        events = read_events(request, entries) or await jobs.events(request, after=after)
