"""The calls of the service as methods."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Literal, Self, TypedDict, Unpack, cast

from pydantic import JsonValue

from service.api.requests import Controls
from service.api.schemas import JobBody, ModelBody, ModelList, SliceEvent
from service.client.transport import Transport, understood
from service.client.watch import Watch, job_path

RETRY_SECONDS = 30.0


class Request(TypedDict, total=False):
    """Body of POST /generate. An absent field has the server's default; `service.api.requests` has bounds and meanings."""

    model: str
    num_images: int
    seed: int
    controls: Controls | list[Controls]
    label: str
    temperature: float | Mapping[str, float]
    guidance: float
    candidates: int
    start: Mapping[str, str | int]
    priority: Literal["interactive", "batch"]
    webhook: Mapping[str, JsonValue]
    metadata: Mapping[str, JsonValue]


class ScoreTerms(TypedDict, total=False):
    """Body of POST /score without its image. An absent field has the server's default."""

    model: str
    controls: Controls
    label: str
    priority: Literal["interactive", "batch"]
    webhook: Mapping[str, JsonValue]
    metadata: Mapping[str, JsonValue]


class Colours(TypedDict, total=False):
    """Colours of an export: #rrggbb, or two of them with a comma for a gradient. An absent one is the image's own."""

    background: str
    ground: str
    glyph: str
    style: Literal["flat"]


class Export(Colours, total=False):
    """An export of the vector form of a final image: its colours, and its size in pixels."""

    size: int


class Client:
    """Client of one server: its address and, where it wants one, a key.

    A call that finds no server, or a busy one, is retried for at most `retry_seconds`, as Retry-After says. After that
    it raises ServerUnavailableError or ProblemError. A lasting refusal raises ProblemError at once. A response of
    another program raises UnexpectedResponseError. A server on this machine is never reached through a proxy.
    """

    def __init__(self, base_url: str, key: str | None = None, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._transport = Transport(base_url, key, retry_seconds=retry_seconds)

    def generate(self, **request: Unpack[Request]) -> JobBody:
        """Create a job. Retries do not create another: an Idempotency-Key is sent."""
        return self._submit("/generate", cast("Mapping[str, JsonValue]", request))

    def score(self, image: bytes, **terms: Unpack[ScoreTerms]) -> JobBody:
        """Create a job that computes the likelihood of an image: a PNG, WebP or JPEG file of the model's full size.

        After `wait` the job has its `likelihood`, and `image` returns the heat map.
        """
        encoded = {"image": base64.b64encode(image).decode()}
        return self._submit("/score", encoded | cast("dict[str, JsonValue]", terms))

    def job(self, job: JobBody | str) -> JobBody:
        """Return the current state of a job."""
        return understood(JobBody, self._transport.request("GET", job_path(id_of(job))).content)

    def wait(self, job: JobBody | str, on_slice: Callable[[SliceEvent], object] | None = None) -> JobBody:
        """Return the job when it has succeeded, failed or been canceled; call `on_slice` for every slice until then."""
        known = job if isinstance(job, JobBody) else self.job(job)
        return Watch(self._transport, known, on_slice).ended()

    def image(
        self,
        job: JobBody | str,
        index: int = 0,
        *,
        slices: int | None = None,
        format: Literal["png", "webp", "jpeg", "svg"] = "png",  # noqa: A002 - the parameter's name in the contract
        scale: int = 1,
        **export: Unpack[Export],
    ) -> bytes:
        """Return the file of an image: the latest, or that after `slices` slices; each pixel `scale` x `scale`.

        With format svg, a size or colours it is an export of the final image.
        """
        query: dict[str, str | int] = {"format": format, "scale": scale, **cast("dict[str, str | int]", export)}
        query |= {} if slices is None else {"slices": slices}
        return self._transport.request("GET", f"{job_path(id_of(job))}/images/{index}", query=query).content

    def export(
        self,
        job: JobBody | str,
        set: Literal["sizes", "web"] = "sizes",  # noqa: A002 - the parameter's name in the contract
        *,
        index: int | None = None,
        **colours: Unpack[Colours],
    ) -> bytes:
        """Return a ZIP archive of the final images, or of one: in every size, or as the icons of a web site."""
        query: dict[str, str | int] = {"set": set, **cast("dict[str, str]", colours)}
        query |= {} if index is None else {"index": index}
        return self._transport.request("GET", f"{job_path(id_of(job))}/export.zip", query=query).content

    def cancel(self, job: JobBody | str) -> JobBody:
        """Cancel a job. A running one stops within a slice; its partial images stay."""
        return understood(JobBody, self._transport.request("DELETE", job_path(id_of(job))).content)

    def erase(self, job: JobBody | str) -> None:
        """Delete a job, its images and its events. One that does not exist any more is no error."""
        self._transport.request("DELETE", job_path(id_of(job)), query={"erase": "true"})

    def models(self) -> list[ModelBody]:
        """Return the models with the values of their controls."""
        return understood(ModelList, self._transport.request("GET", "/models").content).models

    def _submit(self, path: str, body: Mapping[str, JsonValue]) -> JobBody:
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return understood(JobBody, self._transport.request("POST", path, json=body, headers=headers).content)

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
    """Return the id of a job, given the job or the id."""
    return job if isinstance(job, str) else job.id
