"""What all endpoints of the contract check before their own work: parameters, key, and the count of refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from service.api.access import owner_of
from service.api.request_body import check_body
from service.api.routes.dependencies import services_of
from service.errors import (
    FieldError,
    KeyReusedError,
    NoImageError,
    SlicesMissingError,
    UnknownJobError,
    UnsupportedMediaTypeError,
)

COUNTED = (
    RequestValidationError,
    HTTPException,
    FieldError,
    KeyReusedError,
    NoImageError,
    SlicesMissingError,
    UnknownJobError,
    UnsupportedMediaTypeError,
)
"""Errors of the request itself. A request over a limit is refused in Redis and costs little."""

ONCE = frozenset({"Idempotency-Key", "Last-Event-ID"})
"""Headers that have one value. Others are lists, which may come in several lines."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ContractRoute(APIRoute):
    """A route that refuses unknown and repeated parameters; with a body, refusals count towards the owner's rate limit."""

    def get_route_handler(self) -> Handler:
        """Return the route's handler with the checks around it."""
        handle = super().get_route_handler()
        inner = counted(handle) if self.body_field else handle
        accepted = [each.alias for each in get_flat_params(self.dependant) if isinstance(each.field_info, Query)]

        async def checked(request: Request) -> Response:
            check_parameters(request, accepted)
            check_headers(request)
            return await inner(request)

        return checked


def check_parameters(request: Request, accepted: list[str]) -> None:
    """Raise FieldError for query parameters that this path does not have, or that come twice: no mistake passes silently."""
    if not request.scope["query_string"]:
        return
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in accepted:
            raise FieldError(name, f"unknown query parameter; accepted here: {', '.join(accepted) or 'none'}")
        if count > 1:
            raise FieldError(name, f"sent {count} times; send it once")


def check_headers(request: Request) -> None:
    """Raise FieldError for a header that has one value and comes twice."""
    for name in ONCE:
        if (count := len(request.headers.getlist(name))) > 1:
            raise FieldError(name, f"sent {count} times; send it once")


def counted(handle: Handler) -> Handler:
    """Check the key before the body is read, and count what is refused towards the rate limit."""

    async def handler(request: Request) -> Response:
        owner = owner_of(request)
        try:
            await check_body(request)
            return await handle(request)
        except COUNTED:
            await services_of(request).refusals.add(owner)
            raise

    return handler
