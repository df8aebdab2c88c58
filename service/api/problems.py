"""Problems (RFC 9457): the answer to every request that fails. None has a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from service.api.middleware.head import is_stream
from service.api.requests import FORMS
from service.cells.cell_map import OtherCellError
from service.errors import FieldError, ServiceError, UnavailableError, UnreadableError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

logger = logging.getLogger(__name__)

INTERNAL_ERROR = "The server failed. Its log has the details, under this answer's X-Request-ID."
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MOST_ERRORS = 20
LONGEST = 2000
"""Characters of a field's name or a message, so that an answer is short whatever the request was."""


def install(app: FastAPI) -> None:
    """Install the handlers that turn exceptions into problems. One that is not async would run in a thread."""
    app.add_exception_handler(ServiceError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RedisError, _unavailable)
    app.add_exception_handler(OtherCellError, _of_other_cell)


def problem(  # noqa: PLR0913 - the members of RFC 9457
    request: Request,
    *,
    status: int,
    type: str = "about:blank",  # noqa: A002 - its name in RFC 9457
    title: str | None = None,
    detail: str | None = None,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return a problem about `request`. The request's state keeps its type, for the metrics."""
    request.state.problem = type
    body: dict[str, Any] = {"type": type, "title": title or HTTPStatus(status).phrase, "status": status}
    body |= {"detail": sane(detail or body["title"]), "instance": instance(request)}
    if errors:
        body["errors"] = [{name: sane(text) for name, text in each.items()} for each in errors[:MOST_ERRORS]]
    return JSONResponse(jsonable_encoder(body), status, headers, media_type="application/problem+json")


def instance(request: Request) -> str:
    """Return the path with the prefix of the server, as in the URLs of jobs."""
    return f"{getattr(request.state, 'prefix', '')}{request.scope['path']}"


def sane(text: str) -> str:
    """Return text that is short and valid UTF-8: JSON can contain half of a surrogate pair."""
    valid = text.encode("utf-8", "backslashreplace").decode()
    return valid if len(valid) <= LONGEST else f"{valid[:LONGEST]}..."


def refused(request: Request, error: Exception) -> JSONResponse:
    """Return the problem of a refusal."""
    if not isinstance(error, ServiceError):
        raise error
    return problem(
        request,
        status=error.status,
        type=error.type,
        title=error.title,
        detail=str(error),
        errors=error.errors,
        headers=error.headers,
    )


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return refused(request, error)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [{"field": field_of(item["loc"]), "message": message_of(item)} for item in error.errors()]
    detail = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
    return problem(request, status=422, type=FieldError.type, title=FieldError.title, detail=detail, errors=errors)


def message_of(item: Mapping[str, Any]) -> str:
    """Return the message of pydantic. For a body that is not an object, say what is expected."""
    if item["type"] == "model_attributes_type" and item["loc"] == ("body",):
        return "expected a JSON object"
    return str(item["msg"]).removeprefix("Value error, ")


def field_of(location: tuple[int | str, ...]) -> str:
    """Return `controls.0` for `("body", "controls", 0)`, and `body` for the whole body. Names of forms are left out."""
    inner = location[1:] if location[0] in {"body", "query", "path", "header"} else location
    inner = tuple(part for part in inner if part not in {*FORMS, "[key]"})
    names = [str(part) for part in inner if not (location[0] == "body" and isinstance(part, int) and len(inner) == 1)]
    return ".".join(names) or str(location[0])


async def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return refused(request, UnreadableError())
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(allowed(request))
    return problem(request, status=error.status_code, detail=str(error.detail), headers=headers)


def allowed(request: Request) -> list[str]:
    """Return the methods at this path. Starlette itself names those of the first route alone, and never HEAD."""
    scope = dict(request.scope)
    methods = {method for method in METHODS if matches(request.app.router.routes, {**scope, "method": method})}
    methods = methods or {"GET"}  # within a mounted folder of files, whose paths no route of the app matches
    return sorted(methods | ({"HEAD"} if "GET" in methods and not is_stream(scope["path"]) else set()))


def matches(routes: Iterable[BaseRoute], scope: Scope) -> bool:
    """Return whether a route answers this method at this path."""
    return any(route.matches(scope)[0] is Match.FULL for route in routes)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    logger.warning("redis: %s", error)
    return refused(request, UnavailableError())


async def _of_other_cell(request: Request, error: Exception) -> Response:
    """Leave the request to the middleware that sends it on; this response is never sent."""
    if not isinstance(error, OtherCellError):
        raise error
    request.state.cell = error.cell
    return Response(status_code=HTTPStatus.TEMPORARY_REDIRECT)


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """Log a fault of the server, and return the problem that says no more than that."""
    logger.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
    return problem(request, status=500, detail=INTERNAL_ERROR)
