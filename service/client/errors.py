"""Errors of a call to the service.

ClientError
├── InvalidProxyError        the environment names a proxy that cannot be used
├── ServerUnavailableError   no response came back
├── UnexpectedResponseError  the response is not one of this service
└── ProblemError             the server refused the request: problem+json (RFC 9457)
"""

from __future__ import annotations

from http import HTTPStatus

import httpx
from pydantic import ValidationError

from service.problem_body import ProblemBody

PASSING = {429, 502, 503, 504}
"""Statuses that may pass: the server is busy, or restarts behind a proxy."""


class ClientError(Exception):
    """Root of all errors here. `passing`: the same call may succeed later, after `retry_after_seconds` if it is known."""

    passing = False
    retry_after_seconds: float | None = None


class InvalidProxyError(ClientError):
    """Proxy of the environment (http_proxy, https_proxy, all_proxy) that cannot be used."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"The proxy of the environment cannot be used: {cause}. Set http_proxy to http://HOST:PORT")


class ServerUnavailableError(ClientError):
    """Missing response. The request may have arrived."""

    def __init__(self, cause: httpx.TransportError) -> None:
        super().__init__(str(cause) or type(cause).__name__)
        self.passing = not isinstance(cause, httpx.UnsupportedProtocol)


class UnexpectedResponseError(ClientError):
    """Successful response that cannot be read: another server, or another version of this one."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"The response is not a {wanted}. Check the address of the server.")


class ProblemError(ClientError):
    """Refusal by the server: `status`, `type`, `title`, `detail`, and in `errors` the invalid fields."""

    def __init__(self, problem: ProblemBody, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.status, self.type = problem.status, problem.type
        self.title, self.detail = problem.title, problem.detail
        self.errors = problem.errors or []
        self.passing = problem.status in PASSING
        self.retry_after_seconds = retry_after_seconds


def refusal(response: httpx.Response) -> ProblemError:
    """Return the error for a response. A body other than problem+json, say of a proxy, is described by its status."""
    try:
        problem = ProblemBody.model_validate_json(response.content)
    except ValidationError:
        problem = unexplained(response.status_code)
    return ProblemError(problem, retry_after_seconds=seconds(response.headers.get("retry-after", "")))


def unexplained(status: int) -> ProblemBody:
    """Return the problem of a response of which only the status is known."""
    title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Refused"
    return ProblemBody(type="about:blank", title=title, status=status, detail=f"The server answered {status}.")


def seconds(retry_after: str) -> float | None:
    """Return a Retry-After header in seconds. Return None for none and for a date, which this server never sends."""
    return float(retry_after) if retry_after.isdecimal() else None
