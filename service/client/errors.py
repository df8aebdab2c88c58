"""What a call to the service may end with.

ClientError
├── AwayError      no answer came back
├── ForeignError   the answer was none of this service
└── ProblemError   the answer was a refusal: problem+json (RFC 9457)
"""

from __future__ import annotations

from http import HTTPStatus

import httpx
from pydantic import ValidationError

from service.problem_body import ProblemBody

PASSING = {429, 502, 503, 504}
"""Statuses that say nothing about the request itself: too much at once, or a restart behind a proxy."""


class ClientError(Exception):
    """Root; `passing` says whether the same call may succeed later, `retry_after_seconds` when, if the server said so."""

    passing = False
    retry_after_seconds: float | None = None


class AwayError(ClientError):
    """No answer came back; what was sent may have arrived."""

    def __init__(self, cause: httpx.TransportError) -> None:
        super().__init__(str(cause) or type(cause).__name__)
        self.passing = not isinstance(cause, httpx.UnsupportedProtocol)


class ForeignError(ClientError):
    """A success that cannot be understood: another server, or another version of this one."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"The answer is no {wanted}: is this the right address?")


class ProblemError(ClientError):
    """The server's refusal: `status`, `type`, `title`, `detail`, and in `errors` the fields at fault."""

    def __init__(self, problem: ProblemBody, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.status, self.type = problem.status, problem.type
        self.title, self.detail = problem.title, problem.detail
        self.errors = problem.errors or []
        self.passing = problem.status in PASSING
        self.retry_after_seconds = retry_after_seconds


def refusal(response: httpx.Response) -> ProblemError:
    """The error for a response that was read. What is no problem+json, say from a proxy, is told by its status."""
    try:
        problem = ProblemBody.model_validate_json(response.content)
    except ValidationError:
        problem = unexplained(response.status_code)
    return ProblemError(problem, retry_after_seconds=seconds(response.headers.get("retry-after", "")))


def unexplained(status: int) -> ProblemBody:
    """A problem of which the status is all that is known."""
    title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Refused"
    return ProblemBody(type="about:blank", title=title, status=status, detail=f"The server answered {status}.")


def seconds(retry_after: str) -> float | None:
    """A Retry-After header in seconds; None for none, and for its other form, a date, which this server never sends."""
    return float(retry_after) if retry_after.isdecimal() else None
