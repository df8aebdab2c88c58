"""Statuses and events of a job."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Status of a job. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Return whether this status is never left."""
        return self not in {Status.QUEUED, Status.RUNNING}


class EventKind(StrEnum):
    """Kind of an entry of a job's stream; the last three end the stream."""

    STATUS = "status"
    SLICE = "slice"
    RESTARTED = "restarted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Return whether no event follows."""
        return self in {EventKind.SUCCEEDED, EventKind.FAILED, EventKind.CANCELED}


class WebhookEvent(StrEnum):
    """Event that a webhook can send: the event kinds of the same names, and the start of the job."""

    STARTED = "started"
    SLICE = "slice"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
