"""What crosses the wire: the request body of POST /generate and the bodies of all answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from models.cards import ModelCard
from models.config import Stage
from service.contract import JobRecord, Problem, Status, WebhookEvent

MAX_IMAGES = 16
MAX_SEED = 2**53 - 1 - MAX_IMAGES
"""So that seed + i is still exact in JavaScript."""

MAX_METADATA_BYTES = 4096

Controls = dict[str, str]


def small(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """`metadata`, if it is at most MAX_METADATA_BYTES of JSON."""
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        raise ValueError(f"at most {MAX_METADATA_BYTES} bytes of JSON")
    return metadata


class StartStage(StrEnum):
    """The upscalers that may begin with the caller's own picture."""

    SIZE = "size"
    DEPTH = "depth"


class Start(BaseModel):
    """Skip the earlier networks."""

    model_config = ConfigDict(extra="forbid")

    stage: StartStage = Field(description="size: begin with a slice-sized picture. depth: with a full-sized one.")
    image: str = Field(description="Base64 of a PNG, WebP or JPEG.")


class WebhookRequest(BaseModel):
    """Whom to tell of what, by signed POSTs (Standard Webhooks)."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://example.com/hook", "events": ["succeeded", "failed"]}]},
    )

    url: str = Field(description="https, at a public address; not followed if it redirects.")
    events: list[WebhookEvent] = Field(min_length=1, description="Which events to tell of; each is one POST.")


class GenerateRequest(BaseModel):
    """What to draw. All fields have defaults: `{}` is a valid request."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"label": "A", "seed": 7}, {"controls": {"hue": "blue"}, "num_images": 4}]},
    )

    model: str | None = Field(default=None, description="A name from GET /models; absent: the server's default.")
    num_images: int = Field(default=1, ge=1, le=MAX_IMAGES, strict=True)
    seed: int | None = Field(
        default=None, ge=0, le=MAX_SEED, strict=True, description="Picture i has seed + i; absent: drawn and returned."
    )
    controls: Controls | list[Controls] = Field(
        default_factory=dict, description="Control to value, or a list of num_images of them; absent: any."
    )
    label: str | None = Field(default=None, description="Shorthand for controls.label.")
    temperature: float = Field(
        default=1.0, ge=0.1, le=2.0, allow_inf_nan=False, description="1: the exact distribution."
    )
    start: Start | None = None
    webhook: WebhookRequest | None = None
    metadata: Annotated[dict[str, JsonValue], AfterValidator(small)] = Field(
        default_factory=dict, description="At most 4 KiB of JSON, returned untouched."
    )


class ProblemBody(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, str]] | None = None


class JobProgress(BaseModel):
    """How far a job is; never goes back."""

    stage: Stage
    slices_done: int
    slices_total: int
    fraction: float


class ImageBody(BaseModel):
    """One picture of a job; `url` from its first slice on."""

    index: int
    seed: int
    controls: Controls
    width: int
    height: int
    slices_done: int
    final: bool
    url: str | None


class JobUrls(BaseModel):
    """Where to go on."""

    self: str
    events: str
    cancel: str


class JobBody(BaseModel):
    """A job."""

    id: str
    status: Status
    model: str
    controls: Controls | list[Controls]
    seed: int
    num_images: int
    temperature: float
    metadata: dict[str, JsonValue]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    queue_position: int | None
    eta_seconds: float | None
    progress: JobProgress
    images: list[ImageBody]
    error: ProblemBody | None
    attempts: int
    urls: JobUrls

    @classmethod
    def of(
        cls, record: JobRecord, *, sig: str, queue_position: int | None = None, eta_seconds: float | None = None
    ) -> Self:
        """A record as callers see it; `sig` opens its pictures and events without a key."""
        request, here = record.request, job_url(record.request.id)
        return cls(
            id=request.id,
            status=record.status,
            model=request.model,
            controls=shared(request.controls),
            seed=request.seed,
            num_images=request.num_images,
            temperature=request.temperature,
            metadata=dict(request.metadata),
            created_at=moment(record.created_at) or datetime.now(UTC),
            started_at=moment(record.started_at),
            finished_at=moment(record.finished_at),
            expires_at=moment(record.expires_at),
            queue_position=queue_position,
            eta_seconds=eta_seconds,
            progress=progress_of(record),
            images=[image_of(record, image, sig=sig) for image in range(request.num_images)],
            error=problem_of(record.error, here) if record.error else None,
            attempts=record.attempts,
            urls=JobUrls(self=here, events=f"{here}/events{query_of(sig=sig)}", cancel=here),
        )


class JobPage(BaseModel):
    """Some jobs, newest first."""

    jobs: list[JobBody]
    next_cursor: str | None


class ModelBody(BaseModel):
    """A model that can be asked for."""

    name: str
    default: bool
    width: int
    height: int
    controls: dict[str, list[str]]
    stages: list[Stage]
    slices: int
    parameters: int
    bits_per_dim: dict[str, float]
    licence: str
    sheet_url: str | None

    @classmethod
    def of(cls, card: ModelCard, *, default: bool, sheet_url: str | None) -> Self:
        """A card as callers see it; `slices` counts all steps of a picture."""
        geometry = card.config.geometry
        return cls(
            name=card.name,
            default=default,
            width=geometry.size,
            height=geometry.size,
            controls={control.name: list(control.values) for control in card.config.controls},
            stages=list(geometry.stages),
            slices=len(geometry.steps),
            parameters=card.parameters,
            bits_per_dim=dict(card.bits_per_dim),
            licence=card.licence,
            sheet_url=sheet_url,
        )


class ModelList(BaseModel):
    """All models."""

    models: list[ModelBody]


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """Redis answers; how many workers each model has now."""

    status: str = "ok"
    workers: dict[str, int]


class SliceBody(BaseModel):
    """The data of a `slice` event."""

    index: int
    stage: Stage
    slices_done: int
    slices_total: int
    url: str
    image_b64: str | None = None


def job_url(job: str) -> str:
    """Where a job is found."""
    return f"/jobs/{job}"


def image_url(job: str, index: int, slices: int | None = None, *, sig: str) -> str:
    """Where a picture is found: as it stands, or as it was after `slices`; `sig` opens it without a key."""
    return f"{job_url(job)}/images/{index}{query_of(slices=slices, sig=sig)}"


def query_of(**parameters: str | int | None) -> str:
    """The query of a URL, "" if all parameters are empty."""
    given = {name: value for name, value in parameters.items() if value}
    return f"?{urlencode(given)}" if given else ""


def image_of(record: JobRecord, index: int, *, sig: str) -> ImageBody:
    """One picture; its URL names the slices until it is final, so that it changes when the picture does."""
    request, done = record.request, record.done[index]
    final = done == len(request.geometry.steps)
    return ImageBody(
        index=index,
        seed=request.seed + index,
        controls=dict(request.controls[index]),
        width=request.geometry.size,
        height=request.geometry.size,
        slices_done=done,
        final=final,
        url=image_url(request.id, index, None if final else done, sig=sig) if done else None,
    )


def progress_of(record: JobRecord) -> JobProgress:
    """All pictures together; the stage is that of the one furthest behind."""
    steps = record.request.geometry.steps
    done, total = sum(record.done), len(steps) * record.request.num_images
    stage = steps[min(*record.done, len(steps) - 1)].stage
    return JobProgress(stage=stage, slices_done=done, slices_total=total, fraction=round(done / total, 4))


def shared(controls: Sequence[Mapping[str, str]]) -> Controls | list[Controls]:
    """One mapping if all pictures have the same, else the list."""
    mappings = [dict(each) for each in controls]
    return mappings[0] if all(each == mappings[0] for each in mappings) else mappings


def problem_of(problem: Problem, instance: str) -> ProblemBody:
    """Why a job failed."""
    return ProblemBody(
        type=problem.type, title=problem.title, status=problem.status, detail=problem.detail, instance=instance
    )


def moment(milliseconds: int) -> datetime | None:
    """A time of the record; None for not yet."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
