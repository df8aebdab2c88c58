"""Requests that are tried again while that may help, and event streams that end when the connection does."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TypeVar

import httpx
from httpx_sse import ServerSentEvent, connect_sse
from pydantic import BaseModel, JsonValue, ValidationError

from service import __version__
from service.client.errors import AwayError, ClientError, ForeignError, ProblemError, refusal
from service.client.patience import Patience

Body = TypeVar("Body", bound=BaseModel)

TIMEOUT = httpx.Timeout(10, read=45)
"""Seconds. An event stream is never silent for longer than 15, a long poll for longer than `watch.POLL_SECONDS`."""


class Transport:
    """One server. Every request may be sent twice: those that are not idempotent by nature carry an Idempotency-Key."""

    def __init__(self, base_url: str, key: str | None, *, patience_seconds: float) -> None:
        headers = {"User-Agent": f"subscale/{__version__}"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT)
        self._patience_seconds = patience_seconds

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Mapping[str, JsonValue] | None = None,
    ) -> httpx.Response:
        """The answer, a success or 304. Raises ProblemError, AwayError."""
        patience = Patience(self._patience_seconds)
        while True:
            try:
                return self._once(self._http.build_request(method, path, params=query, headers=headers, json=json))
            except ClientError as error:
                if not (error.passing and patience.pause(error.retry_after_seconds)):
                    raise

    def events(self, path: str, *, after: str | None) -> Generator[ServerSentEvent]:
        """What follows the event id `after`, until the connection ends, however it does. Raises ProblemError where
        another try would not help.
        """
        headers = {"Last-Event-ID": after} if after else {}
        try:
            with connect_sse(self._http, "GET", path, headers=headers) as source:
                if source.response.is_error:
                    source.response.read()
                accepted(source.response)
                yield from source.iter_sse()
        except httpx.TransportError:
            return
        except ProblemError as error:
            if not error.passing:
                raise

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _once(self, request: httpx.Request) -> httpx.Response:
        try:
            return accepted(self._http.send(request))
        except httpx.TransportError as error:
            raise AwayError(error) from error


def accepted(response: httpx.Response) -> httpx.Response:
    """The response, if it is a success or 304. Raises ProblemError."""
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return response
    raise refusal(response)


def understood(schema: type[Body], content: bytes | str) -> Body:
    """JSON as `schema`. Raises ForeignError."""
    try:
        return schema.model_validate_json(content)
    except ValidationError as error:
        raise ForeignError(schema.__name__) from error
