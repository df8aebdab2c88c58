"""Problems of this server as OpenAI's errors, on the routes below /v1 only.

A middleware translates every problem there, of an endpoint, of the router or of another middleware.
"""

from __future__ import annotations

import json
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.contract.record import Problem
from service.errors import ServiceError
from service.openai.images_response import ErrorMembers, OpenAIError
from service.problem_body import ProblemBody

PREFIX: Final = "/v1"
PROBLEM: Final = "application/problem+json"
NO_RETRY: Final = {"x-should-retry": "false"}
"""Header by which OpenAI's clients do not send a request again."""

CANCELED: Final = Problem(type="urn:spn:canceled", title="Canceled", detail="The job was canceled.", status=409)

_BAD_REQUEST, _KEY, _NOT_FOUND, _TOO_MANY, _FAULT = 400, 401, 404, 429, 500
_STATUSES: Final = {403: _KEY, 422: _BAD_REQUEST}
_CODES: Final = {
    "urn:spn:key-missing": "invalid_api_key",
    "urn:spn:key-unknown": "invalid_api_key",
    "urn:spn:invalid-request": "invalid_value",
    "urn:spn:rate-limited": "rate_limit_exceeded",
    "urn:spn:too-many-jobs": "rate_limit_exceeded",
}


def translated(problem: ProblemBody) -> tuple[int, OpenAIError]:
    """Return the status and the error for a problem. An unknown model is a 404, as at OpenAI."""
    param = problem.errors[0]["field"] if problem.errors else None
    status = _STATUSES.get(problem.status, problem.status)
    code = _CODES.get(problem.type) or _slug(problem.type)
    if param == "model":
        status, code = _NOT_FOUND, "model_not_found"
    return status, OpenAIError(
        error=ErrorMembers(message=problem.detail, type=_type(status), param=param, code=code),
    )


def error_of(error: ServiceError) -> ProblemBody:
    """Return an error of this server as the body of a problem."""
    return ProblemBody(type=error.type, title=error.title, status=error.status, detail=str(error), errors=error.errors)


def _type(status: int) -> str:
    if status == _TOO_MANY:
        return "requests"
    return "server_error" if status >= _FAULT else "invalid_request_error"


def _slug(problem_type: str) -> str | None:
    """`queue_full` for `urn:spn:queue-full`; None for about:blank."""
    return problem_type.rpartition(":")[2].replace("-", "_") if problem_type.startswith("urn:") else None


class OpenAIErrors:
    """Pure ASGI middleware. It holds back the start of a problem until it has the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; below /v1, send each problem as an error of OpenAI."""
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{PREFIX}/"):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def translate(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_problem(message):
                held.append(message)
            elif held:
                held.append(message)
                if not message.get("more_body"):
                    await _send_error(held, send)
                    held.clear()
            else:
                await send(message)

        await self._app(scope, receive, translate)


def _is_problem(start: Message) -> bool:
    return MutableHeaders(raw=start["headers"]).get("content-type") == PROBLEM


async def _send_error(held: list[Message], send: Send) -> None:
    start, *parts = held
    body = b"".join(part.get("body", b"") for part in parts)
    status, error = translated(ProblemBody.model_validate_json(body))
    content = json.dumps(error.model_dump(mode="json")).encode()
    headers = MutableHeaders(raw=start["headers"])
    headers["content-type"], headers["content-length"] = "application/json", str(len(content))
    await send({**start, "status": status})
    await send({"type": "http.response.body", "body": content})
