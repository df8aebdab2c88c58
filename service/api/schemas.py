"""Bodies of all answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, Field, JsonValue

from models.cards import ModelCard
from models.config import Stage, Temperatures
from service.api.requests import Controls, StartStage
from service.contract.record import JobRecord
from service.contract.request import JobRequest, Priority, Task
from service.contract.statuses import Status
from service.problem_body import ProblemBody, problem_of
from service.supervisor import TaskState
from service.urls import JobLinks, JobUrls

if TYPE_CHECKING:
    from service.contract.likelihood import Likelihood


class JobProgress(BaseModel):
    """Progress of a job. It goes back only after a `restarted` event."""

    stage: Stage
    slices_done: int
    slices_total: int
    fraction: float


class ImageBody(BaseModel):
    """One image of a job; of a score job, its heat map. `url` is null before the first slice.

    `candidates` counts its base slices; one is kept.
    """

    index: int
    seed: int
    controls: Controls
    width: int
    height: int
    slices_done: int
    slices_total: int
    candidates: int
    final: bool
    score: float | None = Field(
        description="The verifier's probability of label and style in the base slice; null without label or verifier."
    )
    url: str | None


class TemperaturesBody(BaseModel):
    """A temperature for each network."""

    base: float
    size: float
    depth: float


class SamplingBody(BaseModel):
    """Defaults of a model."""

    temperature: TemperaturesBody
    guidance: float
    candidates: int


class StartBody(BaseModel):
    """Slices with which a job started: from the caller's own image, or from an earlier job."""

    stage: StartStage = Field(description="The first network that ran.")
    slices: int = Field(description="How many; an image's URL with so many slices shows them.")


class SliceBits(BaseModel):
    """Information content of one slice: -log2 p of it, given the slices before."""

    stage: Stage
    slice: int = Field(description="k = i * S + j: it holds the pixels [i::S, j::S].")
    bits: float


class LikelihoodBody(BaseModel):
    """Exact likelihood of an image under the model, in bits; the fewer, the more typical. The heat map shows each pixel."""

    bits_per_dim: float = Field(description="All bits over width * height * channels, as bits_per_dim of a model.")
    stages: dict[Stage, float] = Field(description="The share of each network; they add up to bits_per_dim.")
    slices: list[SliceBits] = Field(description="All slices, in the order in which they are generated.")

    @classmethod
    def of(cls, likelihood: Likelihood) -> Self:
        """Return a complete likelihood as callers see it."""
        stages, bits = likelihood.bits_per_dim(), likelihood.bits_of_slices()
        steps = zip(likelihood.geometry.steps, bits, strict=True)
        slices = [SliceBits(stage=step.stage, slice=step.slice, bits=each) for step, each in steps]
        return cls(bits_per_dim=sum(stages.values()), stages=stages, slices=slices)


class JobBody(BaseModel):
    """A job."""

    id: str
    task: Task
    status: Status
    model: str
    controls: Controls | list[Controls]
    seed: int
    num_images: int
    temperature: float | TemperaturesBody = Field(description="As used: one for all networks, or one for each.")
    guidance: float
    candidates: int
    start: StartBody | None = Field(description="What the job started from; null for a job that started from nothing.")
    priority: Priority
    metadata: dict[str, JsonValue]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    queue_position: int | None
    eta_seconds: float | None
    progress: JobProgress
    images: list[ImageBody]
    likelihood: LikelihoodBody | None = Field(
        description="Of a score job that has succeeded; null before, for other jobs, and in lists."
    )
    error: ProblemBody | None
    attempts: int
    urls: JobUrls

    @classmethod
    def of(
        cls,
        record: JobRecord,
        links: JobLinks,
        *,
        queue_position: int | None = None,
        eta_seconds: float | None = None,
        likelihood: LikelihoodBody | None = None,
    ) -> Self:
        """Return a record as callers see it."""
        request = record.request
        return cls(
            id=request.id,
            task=request.task,
            status=record.status,
            model=request.model,
            controls=shared(request.controls),
            seed=request.seed,
            num_images=request.num_images,
            temperature=temperature_of(request.temperature),
            guidance=request.guidance,
            candidates=request.candidates,
            start=start_of(request),
            priority=request.priority,
            metadata=dict(request.metadata),
            created_at=timestamp(record.created_at),
            started_at=moment(record.started_at),
            finished_at=moment(record.finished_at),
            expires_at=moment(record.expires_at),
            queue_position=queue_position,
            eta_seconds=eta_seconds,
            progress=progress_of(record),
            images=[image_of(record, image, links) for image in range(request.num_images)],
            likelihood=likelihood,
            error=problem_of(record.error, links.here) if record.error else None,
            attempts=record.attempts,
            urls=links.urls,
        )


class JobPage(BaseModel):
    """Page of jobs, newest first."""

    jobs: list[JobBody]
    next_cursor: str | None
    missing_cells: list[str] = Field(
        default=[], description="Cells of the service that did not answer: their jobs are not in the list now."
    )


class ModelBody(BaseModel):
    """A model of this server."""

    name: str
    default: bool
    width: int
    height: int
    controls: dict[str, list[str]]
    aliases: dict[str, dict[str, str]] = Field(description="Other names of values, by control: alias to value.")
    sampling: SamplingBody
    guided: list[Stage] = Field(
        description="The networks on which guidance acts; without any only guidance 1 is accepted."
    )
    verifier: bool = Field(description="Whether a verifier chooses among candidates; without it only 1 is accepted.")
    stages: list[Stage]
    slices: int
    start_sizes: dict[Stage, list[int]] = Field(
        description="Sides in pixels that start.image may have, by start.stage; the image is square."
    )
    parameters: int
    bits_per_dim: dict[str, float]
    licence: str
    sheet_url: str | None

    @classmethod
    def of(cls, card: ModelCard, *, default: bool, sheet_url: str | None) -> Self:
        """Return a card as callers see it. `slices` counts all steps of an image."""
        geometry = card.config.geometry
        return cls(
            name=card.name,
            default=default,
            width=geometry.size,
            height=geometry.size,
            controls={control.name: list(control.values) for control in card.config.controls},
            aliases={control.name: dict(control.aliases) for control in card.config.controls if control.aliases},
            sampling=SamplingBody.model_validate(asdict(card.sampling)),
            guided=list(card.guided),
            verifier=bool(card.verifier),
            stages=list(geometry.stages),
            slices=len(geometry.steps),
            start_sizes={stage: list(geometry.start_sizes(stage)) for stage in geometry.stages[1:]},
            parameters=card.parameters,
            bits_per_dim=dict(card.bits_per_dim),
            licence=card.licence,
            sheet_url=sheet_url,
        )


class ModelList(BaseModel):
    """All models."""

    models: list[ModelBody]


class Health(BaseModel):
    """Answer of a process that is alive."""

    status: str = "ok"


class Readiness(BaseModel):
    """Readiness: Redis accepts writes. Live workers of each model, and the background tasks of this process."""

    status: str = "ok"
    workers: dict[str, int]
    tasks: dict[str, TaskState] = Field(description="failing: restarted within the last minute.")


class StatusEvent(BaseModel):
    """Data of a `status` event."""

    status: Status


class JobEvent(BaseModel):
    """Data of a `restarted`, `succeeded` or `canceled` event."""

    url: str = Field(description="The URL of the job.")


class SliceEvent(BaseModel):
    """Data of a `slice` event."""

    index: int
    stage: Stage
    slices_done: int
    slices_total: int
    url: str
    score: float | None = Field(default=None, description="Of a base slice, as in the job's `images`.")
    image_b64: str | None = None


def image_of(record: JobRecord, index: int, links: JobLinks) -> ImageBody:
    """Return one image. Its URL names the slices until it is final, so that it changes when the image does."""
    request, done = record.request, record.done[index]
    final = done == len(request.geometry.steps)
    return ImageBody(
        index=index,
        seed=request.seed + index,
        controls=dict(request.controls[index]),
        width=request.geometry.size,
        height=request.geometry.size,
        slices_done=done,
        slices_total=len(request.geometry.steps),
        candidates=1 + request.extra_slices(index),
        final=final,
        score=record.scores[index],
        url=links.image(index, None if final else done) if done else None,
    )


def start_of(request: JobRequest) -> StartBody | None:
    """Return what a job started from, if it has slices from the start."""
    if not request.start_slices:
        return None
    return StartBody(stage=StartStage(request.geometry.steps[request.start_slices].stage), slices=request.start_slices)


def progress_of(record: JobRecord) -> JobProgress:
    """Return the progress of all images together, with all candidates. The stage is that of the last image."""
    request, steps = record.request, record.request.geometry.steps
    extra = [request.extra_slices(image) for image in range(request.num_images)]
    total = len(steps) * request.num_images + sum(extra)
    done = sum(record.done) + sum(more for more, drawn in zip(extra, record.done, strict=True) if drawn)
    stage = steps[min(*record.done, len(steps) - 1)].stage
    return JobProgress(stage=stage, slices_done=done, slices_total=total, fraction=round(done / total, 4))


def temperature_of(temperature: float | Temperatures) -> float | TemperaturesBody:
    """Return the temperature as it is used."""
    return TemperaturesBody(**vars(temperature)) if isinstance(temperature, Temperatures) else temperature


def shared(controls: Sequence[Mapping[str, str]]) -> Controls | list[Controls]:
    """Return one mapping if all images have the same controls, else the list."""
    mappings = [dict(each) for each in controls]
    return mappings[0] if all(each == mappings[0] for each in mappings) else mappings


def moment(milliseconds: int) -> datetime | None:
    """Return a time of the record; None for not yet."""
    return timestamp(milliseconds) if milliseconds else None


def timestamp(milliseconds: int) -> datetime:
    """Return a time that every record has."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
