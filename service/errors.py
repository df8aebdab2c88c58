"""What the API refuses, and how it says so: RFC 9457 problem+json, never a traceback.

ServiceError
├── UnreadableError      400  a request body that is no text
├── MissingKeyError      401  no API key came along
├── UnknownKeyError      403  the API key is not one of ours
├── SignatureError       403  a signed URL was changed, or is of another job
├── UnknownJobError      404  no such job, or its retention is over, or it is another key's
├── NotStartedError      404  a picture before its first slice
├── NotDrawnError        404  a picture further than it is drawn
├── FieldError           422  a field that is well-formed and yet impossible
│   └── DestinationError 422  a webhook URL that this server sends nothing to
├── KeyReusedError       422  an Idempotency-Key with another body
├── LaterError                refused now, with the seconds after which to come again
│   ├── HurriedError     429  the key submits too fast
│   ├── CrowdedError     429  the key has too many jobs that have not ended
│   └── QueueFullError   503  as many jobs wait as are allowed to
└── UnavailableError     503  Redis cannot be reached
"""

from __future__ import annotations

from typing import ClassVar


class ServiceError(Exception):
    """Root of all refusals; each subclass is one problem type."""

    type: ClassVar[str] = "about:blank"
    title: ClassVar[str] = "Refused"
    status: ClassVar[int] = 500
    retry_after_seconds: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the refusal."""
        return {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}

    @property
    def errors(self) -> list[dict[str, str]] | None:
        """Which fields are at fault."""
        return None


class UnreadableError(ServiceError):
    """The body is not text, or cannot be taken apart, so there are no fields to speak of."""

    type, title, status = "urn:spn:unreadable", "Unreadable", 400

    def __init__(self) -> None:
        super().__init__(
            "The request body cannot be read: expected JSON in UTF-8, not compressed, without numbers of thousands of "
            "digits and not nested thousands deep."
        )


class MissingKeyError(ServiceError):
    """The caller did not say who they are."""

    type, title, status = "urn:spn:key-missing", "API key missing", 401

    def __init__(self) -> None:
        super().__init__("This server asks for an API key: send it as `Authorization: Bearer KEY`.")

    @property
    def headers(self) -> dict[str, str]:
        """How to say it."""
        return {"WWW-Authenticate": "Bearer"}


class UnknownKeyError(ServiceError):
    """Nobody has this key, or not any more."""

    type, title, status = "urn:spn:key-unknown", "API key unknown", 403

    def __init__(self) -> None:
        super().__init__("This API key is not known here.")


class SignatureError(ServiceError):
    """The signature was made for another job, or by another secret, or not by us."""

    type, title, status = "urn:spn:signature-invalid", "Signature invalid", 403

    def __init__(self) -> None:
        super().__init__("`sig` does not fit this job. Use the URLs as the job's body and its events give them.")


class UnknownJobError(ServiceError):
    """No such job, as far as the caller may know."""

    type, title, status = "urn:spn:unknown-job", "Unknown job", 404

    def __init__(self, job: str) -> None:
        super().__init__(f"There is no job {job!r}, or it is no longer kept.")


class NotStartedError(ServiceError):
    """The picture has no slice yet."""

    type, title, status = "urn:spn:not-started", "Not started", 404

    def __init__(self) -> None:
        super().__init__("The first slice of this picture is not drawn yet.")


class NotDrawnError(ServiceError):
    """More was asked for than there is."""

    type, title, status = "urn:spn:not-drawn", "Not drawn", 404


class FieldError(ServiceError):
    """A field that cannot be honoured."""

    type, title, status = "urn:spn:invalid-request", "Invalid request", 422

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message

    @property
    def errors(self) -> list[dict[str, str]]:
        """The one field."""
        return [{"field": self.field, "message": self.message}]


class DestinationError(FieldError):
    """A webhook URL that is refused, at submit or when its name turns out to lead somewhere else."""

    def __init__(self, message: str) -> None:
        super().__init__("webhook.url", message)


class KeyReusedError(ServiceError):
    """The same Idempotency-Key came with another body."""

    type, title, status = "urn:spn:idempotency-key-reused", "Idempotency key reused", 422

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with another request body.")


class LaterError(ServiceError):
    """Refused for now."""

    reason: ClassVar[str]

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(f"{self.reason} Try again in {retry_after_seconds} s.")
        self.retry_after_seconds = retry_after_seconds


class HurriedError(LaterError):
    """Too many submits in the last minute."""

    type, title, status = "urn:spn:rate-limited", "Too many requests", 429
    reason = "As many jobs were submitted in the last minute as one key may."


class CrowdedError(LaterError):
    """Too many jobs that have not ended."""

    type, title, status = "urn:spn:too-many-jobs", "Too many jobs", 429
    reason = "As many jobs are queued or running as one key may have at a time."


class QueueFullError(LaterError):
    """Too many jobs wait."""

    type, title, status = "urn:spn:queue-full", "Queue full", 503
    reason = "As many jobs are waiting as this server accepts."


class UnavailableError(ServiceError):
    """The store is away."""

    type, title, status, retry_after_seconds = "urn:spn:unavailable", "Unavailable", 503, 2

    def __init__(self) -> None:
        super().__init__(
            "The job store cannot be reached, or takes nothing now. Try again later, a submit with its Idempotency-Key: it "
            "may have been accepted."
        )
