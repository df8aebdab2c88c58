"""Following one job to its end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from urllib.parse import quote

import httpx
from httpx_sse import ServerSentEvent

from service.api.schemas import JobBody, SliceBody
from service.client.transport import Transport, understood
from service.contract.statuses import EventKind

POLL_SECONDS = 20
"""How long a poll waits for a change."""

KINDS = {str(kind): kind for kind in EventKind}
"""Kinds of events that are understood; a newer server may send others."""


def job_path(job: str) -> str:
    """Where a job is found."""
    return f"/jobs/{quote(job, safe='')}"


class Watch:
    """Listens to a job's events and resumes after every cut; polls once where a connection told nothing.

    `on_slice` is called once for each slice in the picture's order. After a poll it hears of the latest one alone.
    """

    def __init__(self, transport: Transport, job: JobBody, on_slice: Callable[[SliceBody], object] | None) -> None:
        self._transport, self._job, self._on_slice = transport, job, on_slice
        self._done: dict[int, int] = {}
        self._last_id: str | None = None
        self._etag: str | None = None

    def ended(self) -> JobBody:
        """The job once it has ended. Raises ProblemError, AwayError."""
        while not self._job.status.final:
            if not self._listen():
                self._poll()
        return self._job

    def _listen(self) -> bool:
        """Whether one connection told anything."""
        told = False
        with closing(self._transport.events(f"{self._path}/events", after=self._last_id)) as events:
            for event in events:
                told = True
                if self._take(event):
                    self._refresh()
                    break
        return told

    def _take(self, event: ServerSentEvent) -> bool:
        """Whether this was the end."""
        self._last_id = event.id or self._last_id
        match kind := KINDS.get(event.event):
            case EventKind.SLICE:
                self._tell(understood(SliceBody, event.data))
            case EventKind.RESTARTED:
                self._done.clear()
        return kind is not None and kind.final

    def _tell(self, drawn: SliceBody) -> None:
        """A slice, unless a poll has told of it or a later one."""
        further = drawn.slices_done > self._done.get(drawn.index, 0)
        self._done[drawn.index] = max(drawn.slices_done, self._done.get(drawn.index, 0))
        if further and self._on_slice:
            self._on_slice(drawn)

    def _poll(self) -> None:
        """The job when it has changed, or after POLL_SECONDS."""
        self._refresh(wait_seconds=POLL_SECONDS if self._etag else 0)
        for drawn in slices_of(self._job):
            self._tell(drawn)

    def _refresh(self, *, wait_seconds: int = 0) -> None:
        headers = {"If-None-Match": self._etag} if self._etag else {}
        response = self._transport.request("GET", self._path, query={"wait": wait_seconds}, headers=headers)
        if response.status_code != httpx.codes.NOT_MODIFIED:
            self._job, self._etag = understood(JobBody, response.content), response.headers.get("etag")

    @property
    def _path(self) -> str:
        return job_path(self._job.id)


def slices_of(job: JobBody) -> list[SliceBody]:
    """The latest slice of each picture, as far as a job's body tells."""
    return [
        SliceBody(
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
