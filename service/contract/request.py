"""Request of a job, as it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Base64Bytes, BeforeValidator, Field, JsonValue, TypeAdapter

from models.config import LABEL, Geometry, Sampling, Temperatures
from service.contract.redis_keys import Keys
from service.contract.statuses import WebhookEvent


class Task(StrEnum):
    """What a job does: generate images, or score one, that is compute its likelihood."""

    GENERATE = "generate"
    SCORE = "score"


class Priority(StrEnum):
    """Whether a person waits for the job. It orders an owner's own jobs, and the rows of a batch (`worker.scheduler`)."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


def known_events(events: object) -> object:
    """Return the events that this release knows: a newer one may have accepted others."""
    return [each for each in events if each in set(WebhookEvent)] if isinstance(events, list) else events


@lru_cache(maxsize=64)
def shared_geometry(geometry: Geometry) -> Geometry:
    """Return the same object for equal geometries: each keeps its list of steps, which takes as long to make as a request."""
    return geometry


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Receiver of events."""

    url: str
    events: Annotated[tuple[WebhookEvent, ...], BeforeValidator(known_events)]

    @property
    def receiver(self) -> str:
        """Return host and port: deliveries to one receiver do not delay those to another."""
        return urlsplit(self.url).netloc.lower()


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """Complete request that never changes: with weights and numerics it determines every pixel.

    `controls` holds one mapping per image; `start_slices` counts those each image starts with. `owner` is the name
    of the key that made it, "" where none are configured. `deadline_seconds` after its creation it fails, 0: never.
    `base_lanes`: the lanes of a base slice in a round, on average over the images (`service.contract.lanes`).
    `scored`: the image of a score job (`service.contract.likelihood.packed`); its sampling is the model's own distribution.
    """

    id: str
    model: str
    seed: int
    temperature: float | Temperatures
    controls: tuple[Mapping[str, str], ...]
    geometry: Annotated[Geometry, AfterValidator(shared_geometry)]
    start_slices: Annotated[int, Field(alias="given")] = 0
    retention_seconds: int = 86_400
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    owner: str = ""
    deadline_seconds: int = 0
    webhook: Webhook | None = None
    guidance: float = 1.0
    candidates: int = 1
    base_lanes: float = 1.0
    priority: Priority = Priority.INTERACTIVE
    scored: Base64Bytes = b""

    @property
    def task(self) -> Task:
        """Return what the job does."""
        return Task.SCORE if self.scored else Task.GENERATE

    @property
    def sampling(self) -> Sampling:
        """Return how each image is sampled. Records of releases without guidance and candidates have one temperature."""
        each = self.temperature
        temperature = each if isinstance(each, Temperatures) else Temperatures.alike(each)
        return Sampling(temperature=temperature, guidance=self.guidance, candidates=self.candidates)

    def extra_slices(self, image: int) -> int:
        """Return how many base slices are generated for an image beside the one that is kept.

        One for each further candidate, where there is a label to choose by and the base slice is not the caller's own.
        """
        return 0 if self.start_slices or LABEL not in self.controls[image] else self.candidates - 1

    @property
    def num_images(self) -> int:
        """Return the number of images; image i has seed + i."""
        return len(self.controls)

    @property
    def keys(self) -> Keys:
        """Return the job's keys in Redis."""
        return Keys(id=self.id, model=self.model)

    def to_json(self) -> bytes:
        """Return the record's `request` field.

        That of a score job has no `UNUSED` fields. So releases without scores find it unreadable; else they would generate
        an image.
        """
        return _REQUEST.dump_json(self, by_alias=True, exclude=set(UNUSED) if self.scored else {"scored"})

    @classmethod
    def from_json(cls, text: str | bytes) -> JobRequest:
        """Read the record's `request` field."""
        return _REQUEST.validate_json(text)


def complete(fields: object) -> object:
    """Return the fields of a record, of a score job with those that `to_json` leaves out."""
    return {**UNUSED, **fields} if isinstance(fields, dict) and "scored" in fields else fields


UNUSED = {"seed": 0, "temperature": 1.0}
"""Fields that a score job does not use. Releases without scores require them."""

_REQUEST = TypeAdapter[JobRequest](Annotated[JobRequest, BeforeValidator(complete)])
