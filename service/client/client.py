"""All that a caller can ask of the service, as methods."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Literal, Self, TypedDict, Unpack, cast

from pydantic import JsonValue

from service.api.requests import Controls
from service.api.schemas import JobBody, ModelBody, ModelList, SliceBody
from service.client.transport import Transport, understood
from service.client.watch import Watch, job_path

PATIENCE_SECONDS = 30.0


class Request(TypedDict, total=False):
    """The body of POST /generate; what is absent is the server's default. `service.api.schemas` has bounds and meanings."""

    model: str
    num_images: int
    seed: int
    controls: Controls | list[Controls]
    label: str
    temperature: float | Mapping[str, float]
    guidance: float
    candidates: int
    start: Mapping[str, str]
    webhook: Mapping[str, JsonValue]
    metadata: Mapping[str, JsonValue]


class Client:
    """One server, by its address and, if it asks for one, a key.

    A call that finds no server, or one with too much to do, is tried again for `patience_seconds` at most, as the
    server's Retry-After asks. Raises AwayError or ProblemError after that, ProblemError at once for a refusal that
    would stay one, and ForeignError for the answer of something else.
    """

    def __init__(self, base_url: str, key: str | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._transport = Transport(base_url, key, patience_seconds=patience_seconds)

    def generate(self, **request: Unpack[Request]) -> JobBody:
        """A new job. However often this has to be tried, it is one: an Idempotency-Key goes with it."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        body = cast("Mapping[str, JsonValue]", request)
        return understood(JobBody, self._transport.request("POST", "/generate", json=body, headers=headers).content)

    def job(self, job: JobBody | str) -> JobBody:
        """How a job stands, by its id."""
        return understood(JobBody, self._transport.request("GET", job_path(id_of(job))).content)

    def wait(self, job: JobBody | str, on_slice: Callable[[SliceBody], object] | None = None) -> JobBody:
        """The job once it has succeeded, failed or been canceled; `on_slice` hears of every slice on the way."""
        known = job if isinstance(job, JobBody) else self.job(job)
        return Watch(self._transport, known, on_slice).ended()

    def image(
        self,
        job: JobBody | str,
        index: int = 0,
        *,
        slices: int | None = None,
        format: Literal["png", "webp", "jpeg"] = "png",  # noqa: A002 - the parameter's name in the contract
        scale: int = 1,
    ) -> bytes:
        """The file of a picture as it stands, or as it was after `slices`; each pixel `scale` x `scale`."""
        query: dict[str, str | int] = {"format": format, "scale": scale}
        query |= {} if slices is None else {"slices": slices}
        return self._transport.request("GET", f"{job_path(id_of(job))}/images/{index}", query=query).content

    def cancel(self, job: JobBody | str) -> JobBody:
        """Stop a job; a running one stops within a slice. What is drawn stays."""
        return understood(JobBody, self._transport.request("DELETE", job_path(id_of(job))).content)

    def models(self) -> list[ModelBody]:
        """What can be asked for."""
        return understood(ModelList, self._transport.request("GET", "/models").content).models

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def id_of(job: JobBody | str) -> str:
    """A job's id from the job or the id."""
    return job if isinstance(job, str) else job.id
