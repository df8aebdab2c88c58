"""Wait for the end of one job."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from urllib.parse import quote

import httpx
from httpx_sse import ServerSentEvent

from service.api.schemas import JobBody, SliceEvent
from service.client.transport import Transport, understood
from service.contract.statuses import EventKind

POLL_SECONDS = 20
"""Seconds that a poll waits for a change."""

KINDS = {str(kind): kind for kind in EventKind}
"""Event kinds that this client knows. A newer server may send others."""


def job_path(job: str) -> str:
    """Return the path of a job."""
    return f"/jobs/{quote(job, safe='')}"


class Watch:
    """Reader of a job's events, resumed after every cut. It polls once after a connection without events.

    `on_slice` is called once per slice, in the order of each image. After a poll it is called for the latest slice only.
    """

    def __init__(self, transport: Transport, job: JobBody, on_slice: Callable[[SliceEvent], object] | None) -> None:
        self._transport, self._job, self._on_slice = transport, job, on_slice
        self._done: dict[int, int] = {}
        self._last_id: str | None = None
        self._etag: str | None = None

    def ended(self) -> JobBody:
        """Return the job when it has ended. Raises ProblemError, ServerUnavailableError."""
        while not self._job.status.final:
            if not self._read_events():
                self._poll()
        return self._job

    def _read_events(self) -> bool:
        """Return whether one connection brought an event."""
        received = False
        with closing(self._transport.events(f"{self._path}/events", after=self._last_id)) as events:
            for event in events:
                received = True
                if self._take(event):
                    self._refresh()
                    break
        return received

    def _take(self, event: ServerSentEvent) -> bool:
        """Handle one event and return whether it ends the job."""
        self._last_id = event.id or self._last_id
        match kind := KINDS.get(event.event):
            case EventKind.SLICE:
                self._report(understood(SliceEvent, event.data))
            case EventKind.RESTARTED:
                self._done.clear()
        return kind is not None and kind.final

    def _report(self, news: SliceEvent) -> None:
        """Report a slice, unless it or a later one of its image was reported."""
        further = news.slices_done > self._done.get(news.index, 0)
        self._done[news.index] = max(news.slices_done, self._done.get(news.index, 0))
        if further and self._on_slice:
            self._on_slice(news)

    def _poll(self) -> None:
        """Fetch the job when it has changed, or after POLL_SECONDS."""
        self._refresh(wait_seconds=POLL_SECONDS if self._etag else 0)
        for news in slices_of(self._job):
            self._report(news)

    def _refresh(self, *, wait_seconds: int = 0) -> None:
        headers = {"If-None-Match": self._etag} if self._etag else {}
        response = self._transport.request("GET", self._path, query={"wait": wait_seconds}, headers=headers)
        if response.status_code != httpx.codes.NOT_MODIFIED:
            self._job, self._etag = understood(JobBody, response.content), response.headers.get("etag")

    @property
    def _path(self) -> str:
        return job_path(self._job.id)


def slices_of(job: JobBody) -> list[SliceEvent]:
    """Return the latest slice of each image, as a job's body has it."""
    return [
        SliceEvent(
            index=image.index,
            stage=job.progress.stage,
            slices_done=image.slices_done,
            slices_total=image.slices_total,
            url=image.url,
            score=image.score,
        )
        for image in job.images
        if image.url
    ]
