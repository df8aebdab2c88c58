"""Requests that are retried while that may help, and event streams that end with their connection."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import TypeVar

import httpx
from httpx_sse import ServerSentEvent, connect_sse
from pydantic import BaseModel, JsonValue, ValidationError

from service import __version__
from service.client.errors import (
    ClientError,
    InvalidProxyError,
    ProblemError,
    ServerUnavailableError,
    UnexpectedResponseError,
    refusal,
)
from service.client.retry_policy import RetryPolicy

Body = TypeVar("Body", bound=BaseModel)

TIMEOUT = httpx.Timeout(10, read=45)
"""Seconds. An event stream is never silent for longer than 15, a long poll for longer than `watch.POLL_SECONDS`."""


class Transport:
    """Connection to one server. Every request may be sent twice: a submission carries an Idempotency-Key."""

    def __init__(self, base_url: str, key: str | None, *, retry_seconds: float) -> None:
        headers = {"User-Agent": f"subscale/{__version__}"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        proxied = not is_loopback(httpx.URL(base_url).host)
        try:
            self._http = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT, trust_env=proxied)
        except UnicodeError:  # of the key
            raise
        except (ValueError, ImportError) as error:
            raise InvalidProxyError(error) from None
        self._retry_seconds = retry_seconds

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Mapping[str, JsonValue] | None = None,
    ) -> httpx.Response:
        """Return the response, a success or 304. Raises ProblemError, ServerUnavailableError."""
        policy = RetryPolicy(self._retry_seconds)
        while True:
            try:
                return self._once(self._http.build_request(method, path, params=query, headers=headers, json=json))
            except ClientError as error:
                if not (error.passing and policy.pause(error.retry_after_seconds)):
                    raise

    def events(self, path: str, *, after: str | None) -> Generator[ServerSentEvent]:
        """Yield the events after the id `after` until the connection ends. Raises ProblemError for a lasting refusal."""
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
            raise ServerUnavailableError(error) from error


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine, which no proxy of the environment can reach."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def accepted(response: httpx.Response) -> httpx.Response:
    """Return the response if it is a success or 304. Raises ProblemError."""
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return response
    raise refusal(response)


def understood(schema: type[Body], content: bytes | str) -> Body:
    """Parse JSON as `schema`. Raises UnexpectedResponseError."""
    try:
        return schema.model_validate_json(content)
    except ValidationError as error:
        raise UnexpectedResponseError(schema.__name__) from error
