"""Errors that the API answers with, as RFC 9457 problem+json.

ServiceError
├── UnreadableError               400  a request body that is not JSON text
├── MissingKeyError               401  no API key
├── UnknownKeyError               403  an API key that is not configured
├── SignatureError                403  a signed URL that was changed, or is of another job
├── UnknownJobError               404  no such job, or an expired one, or another owner's
├── NotStartedError               404  an image before its first slice
├── NotGeneratedError             404  an image after more slices than it has
├── NotFinalError                 409  an export of an image that has not all its slices
├── NoImageError                  409  an export or a variation of a score job
├── SlicesMissingError            409  a variation of an image that has not so many slices
├── UnsupportedMediaTypeError     415  a request body that is not declared as JSON, or is encoded
├── FieldError                    422  a field that is well-formed and cannot be honoured
│   └── DestinationError          422  a webhook URL that this server refuses
├── KeyReusedError                422  an Idempotency-Key with another body
├── RetryLaterError                    refused now; carries the seconds until a retry
│   ├── RateLimitedError          429  the owner submits too fast
│   ├── ConcurrencyLimitError     429  the owner has too many jobs that have not ended
│   └── QueueFullError            503  the queue is full
└── UnavailableError              503  Redis, or the object store of results, is not available
    └── CellUnavailableError      503  the cell of a job, or of an Idempotency-Key, does not answer
"""

from __future__ import annotations

from typing import ClassVar


class ServiceError(Exception):
    """Root of all refusals; each subclass is one problem type, with a row in docs/refusals.md."""

    type: ClassVar[str] = "about:blank"
    title: ClassVar[str] = "Refused"
    status: ClassVar[int] = 500
    retry_after_seconds: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the response."""
        return {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}

    @property
    def errors(self) -> list[dict[str, str]] | None:
        """Return the wrong fields, each with a message; None if no field is wrong."""
        return None


class UnreadableError(ServiceError):
    """The body is not JSON in UTF-8."""

    type, title, status = "urn:spn:unreadable", "Body unreadable", 400

    def __init__(self) -> None:
        super().__init__(
            "The request body cannot be read. Send JSON in UTF-8, not compressed, without numbers of thousands of digits, "
            "and not nested thousands of levels deep."
        )


class UnsupportedMediaTypeError(ServiceError):
    """The body is declared as something else than plain JSON."""

    title, status = "Unsupported Media Type", 415

    def __init__(self) -> None:
        super().__init__("A request body must be JSON: send Content-Type: application/json, and no Content-Encoding.")

    @property
    def headers(self) -> dict[str, str]:
        """Return what is accepted instead (RFC 9110, section 15.5.16)."""
        return {"Accept": "application/json", "Accept-Encoding": "identity"}


class MissingKeyError(ServiceError):
    """The request has no API key."""

    type, title, status = "urn:spn:key-missing", "API key missing", 401

    def __init__(self) -> None:
        super().__init__("This server requires an API key. Send it as `Authorization: Bearer KEY`.")

    @property
    def headers(self) -> dict[str, str]:
        """Return the scheme to authenticate with."""
        return {"WWW-Authenticate": "Bearer"}


class UnknownKeyError(ServiceError):
    """The API key is not configured on this server."""

    type, title, status = "urn:spn:key-unknown", "API key unknown", 403

    def __init__(self) -> None:
        super().__init__("This API key is unknown. Check it, or ask the operator of this server for a new one.")


class SignatureError(ServiceError):
    """The signature is of another job or was made with another secret."""

    type, title, status = "urn:spn:signature-invalid", "Signature invalid", 403

    def __init__(self) -> None:
        super().__init__("`sig` is not this job's signature. Use the URLs in the job and its events unchanged.")


class UnknownJobError(ServiceError):
    """The job does not exist, has expired, or belongs to another owner."""

    type, title, status = "urn:spn:unknown-job", "Unknown job", 404

    def __init__(self, job: str) -> None:
        super().__init__(f"There is no job {job!r}, or it has expired. `GET /jobs` lists your jobs.")


class NotStartedError(ServiceError):
    """The image has no slice yet."""

    type, title, status = "urn:spn:not-started", "Not started", 404

    def __init__(self) -> None:
        super().__init__("This image has no slice yet. Wait for the job's first `slice` event.")


class NotGeneratedError(ServiceError):
    """The request names a state of an image, or a sample sheet, that does not exist."""

    type, title, status = "urn:spn:not-drawn", "Not generated", 404


class NotFinalError(ServiceError):
    """The image is not final, and only final images are exported."""

    type, title, status = "urn:spn:not-final", "Not final", 409

    def __init__(self) -> None:
        super().__init__(
            "Only a final image has a vector form. Wait until the image is `final`, or request png, webp or jpeg without "
            "size and colours."
        )


class NoImageError(ServiceError):
    """The job scores an image and has none of its own: nothing to export or to vary."""

    type, title, status = "urn:spn:no-image", "No image", 409

    def __init__(self) -> None:
        super().__init__(
            "A score job has a heat map and no image of its own. Request png, webp or jpeg without size and colours, or "
            "export and vary the job that generated the image."
        )


class SlicesMissingError(ServiceError):
    """A variation is to keep more slices than the image has so far."""

    type, title, status = "urn:spn:slices-missing", "Slices missing", 409


class FieldError(ServiceError):
    """A field or parameter has a value that is not accepted."""

    type, title, status = "urn:spn:invalid-request", "Invalid request", 422

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message

    @property
    def errors(self) -> list[dict[str, str]]:
        """Return the wrong field."""
        return [{"field": self.field, "message": self.message}]


class DestinationError(FieldError):
    """Webhooks to that URL are not allowed on this server."""

    def __init__(self, message: str) -> None:
        super().__init__("webhook.url", message)


class KeyReusedError(ServiceError):
    """The Idempotency-Key was used before, with another body."""

    type, title, status = "urn:spn:idempotency-key-reused", "Idempotency key reused", 422

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another request body. Send the same body again, or use a new key."
        )


class RetryLaterError(ServiceError):
    """The server accepts no such request now, but will later."""

    reason: ClassVar[str]

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(f"{self.reason} Try again in {retry_after_seconds} s.")
        self.retry_after_seconds = retry_after_seconds


class RateLimitedError(RetryLaterError):
    """The owner has used up the rate limit: submits, and refused submits, of the last minute."""

    type, title, status = "urn:spn:rate-limited", "Too many requests", 429
    reason = "The rate limit of this API key is reached: too many submits in the last minute."


class ConcurrencyLimitError(RetryLaterError):
    """The owner has reached the concurrency limit: jobs that have not ended."""

    type, title, status = "urn:spn:too-many-jobs", "Too many jobs", 429
    reason = "The concurrency limit of this API key is reached: too many jobs are queued or running."


class QueueFullError(RetryLaterError):
    """The queue of this model is full."""

    type, title, status = "urn:spn:queue-full", "Queue full", 503
    reason = "The queue is full."


class ListingLimitError(RetryLaterError):
    """The owner has listed jobs too often in the last minute."""

    type, title, status = "urn:spn:rate-limited", "Too many requests", 429
    reason = "The rate limit of lists is reached: too many pages in the last minute."


class UnreadableJobError(ServiceError):
    """The job's record cannot be decoded: a newer release wrote it, or it is damaged."""

    type, title, status, retry_after_seconds = "urn:spn:job-unreadable", "Job unreadable", 503, 30

    def __init__(self, job: str) -> None:
        super().__init__(
            f"This server cannot read job {job!r}. A newer release of it can, while an upgrade is under way."
        )


class UnavailableError(ServiceError):
    """Redis or the object store of results cannot be reached, or accepts no writes."""

    type, title, status, retry_after_seconds = "urn:spn:unavailable", "Unavailable", 503, 2

    def __init__(self) -> None:
        super().__init__(
            "The job store is not available now. Try again. Repeat a submit with the same Idempotency-Key: it may have been "
            "accepted."
        )


class CellUnavailableError(UnavailableError):
    """No API process of the cell that the request belongs to can be reached."""

    def __init__(self, cell: str) -> None:
        ServiceError.__init__(
            self,
            f"Cell {cell} does not answer now. Its jobs are kept. Try again; with a submit send the same Idempotency-Key.",
        )
