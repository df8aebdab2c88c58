"""The words for how a job stands and what happens to it."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How a job stands. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Whether this status is never left."""
        return self not in {Status.QUEUED, Status.RUNNING}


class EventKind(StrEnum):
    """What an entry of a job's stream tells; the last three end the stream."""

    STATUS = "status"
    SLICE = "slice"
    RESTARTED = "restarted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self in {EventKind.SUCCEEDED, EventKind.FAILED, EventKind.CANCELED}


class WebhookEvent(StrEnum):
    """What a caller can be told of by a webhook: the event kinds of the same names, and the job's beginning."""

    STARTED = "started"
    SLICE = "slice"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
