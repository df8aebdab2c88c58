"""All that the API and the workers must agree on: names, keys, the job's record and the entries of its stream.

The record says how a job stands, its stream says what was drawn. Both are written by `transitions.lua` alone
(see `service.transitions`), and read here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import numpy as np
from pydantic import JsonValue, TypeAdapter

from models.config import Geometry, Stage
from models.subscale import Bytes, Progress

TASK = "spn.draw"
"""The one function name that may cross the queue. A name, never an import path: the worker looks nothing up."""

ENTRY_VERSION = 1
"""The version of `SliceEntry` on the wire."""

Fields = Mapping[Any, Any]
"""A hash, or the body of a stream entry, as Redis returns it."""


class Status(StrEnum):
    """How a job stands. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Whether this status is never left."""
        return self not in {Status.QUEUED, Status.RUNNING}


class EventKind(StrEnum):
    """What an entry of a job's stream tells; the last three end the stream."""

    STATUS = "status"
    SLICE = "slice"
    RESTARTED = "restarted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self in {EventKind.SUCCEEDED, EventKind.FAILED, EventKind.CANCELED}


class WebhookEvent(StrEnum):
    """What a caller can be told of by a webhook: the event kinds of the same names, and the job's beginning."""

    STARTED = "started"
    SLICE = "slice"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


def queue_name(model: str) -> str:
    """The RQ queue of a model: one each, because RQ dequeues crash-safely from a single queue only."""
    return f"spn:{model}"


def ticket_id(job: str, ticket: int) -> str:
    """The RQ job id of one delivery of a job. Each delivery has its own, so RQ never sees one twice."""
    return f"{job}-{ticket}"


ENDED = "spn:ended"
"""Ended jobs by time of expiry."""


def owned_key(owner: str, name: str) -> str:
    """A list or entry of one owner, the key's name in the settings; "" is everybody, where no keys are configured.

    `jobs` by time of creation; `active`, not ended, by deadline; `submits` of the last minute by time.
    """
    return f"spn:owner:{owner}:{name}" if owner else f"spn:{name}"


def deadlines_key(model: str) -> str:
    """Jobs of a model that have not ended, by deadline."""
    return f"spn:deadlines:{model}"


OUTBOX = "spn:outbox"
"""Webhook deliveries by the time they are due."""


def delivery_key(delivery: str) -> str:
    """Hash: one webhook delivery, complete in itself."""
    return f"{OUTBOX}:{delivery}"


def queued_key(model: str) -> str:
    """Jobs of a model that no worker has begun, by time of creation."""
    return f"spn:queued:{model}"


def running_key(model: str) -> str:
    """Jobs of a model that were begun, by the time their lease runs out."""
    return f"spn:running:{model}"


def workers_key(model: str) -> str:
    """Live workers of a model, by the time their registration runs out."""
    return f"spn:workers:{model}"


def pace_key(model: str) -> str:
    """How fast the workers of a model draw: a hash, see `Pace`."""
    return f"spn:pace:{model}"


def idempotency_key(key: str, owner: str = "") -> str:
    """What an owner's Idempotency-Key points to."""
    return owned_key(owner, f"idempotency:{key}")


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The Redis keys of one job, in the script's order."""

    id: str
    model: str

    @property
    def record(self) -> str:
        """Hash: how the job stands."""
        return f"spn:job:{self.id}"

    @property
    def stream(self) -> str:
        """Stream: what happened to it."""
        return f"spn:job:{self.id}:stream"

    @property
    def all(self) -> list[str]:
        """KEYS of every transition of the job."""
        lists = [queued_key(self.model), running_key(self.model), deadlines_key(self.model), ENDED, OUTBOX]
        return [self.record, self.stream, *lists]


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Whom to tell of which events."""

    url: str
    events: tuple[WebhookEvent, ...]


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What was asked, complete and never changed: with weights and numerics it determines every pixel.

    `controls` holds one mapping per picture; `given` counts the slices each picture starts with. `owner` is the name
    of the key that made it, "" where none are configured. `deadline_seconds` after its creation it fails, 0: never.
    """

    id: str
    model: str
    seed: int
    temperature: float
    controls: tuple[Mapping[str, str], ...]
    geometry: Geometry
    given: int = 0
    retention_seconds: int = 86_400
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    owner: str = ""
    deadline_seconds: int = 0
    webhook: Webhook | None = None

    @property
    def num_images(self) -> int:
        """How many pictures; picture i has seed + i."""
        return len(self.controls)

    @property
    def keys(self) -> Keys:
        """Where it lives in Redis."""
        return Keys(id=self.id, model=self.model)

    def to_json(self) -> bytes:
        """The record's `request` field."""
        return _REQUEST.dump_json(self)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a job failed, in the terms of RFC 9457."""

    type: str
    title: str
    detail: str
    status: int = 500

    def to_json(self) -> bytes:
        """The record's `error` field."""
        return _PROBLEM.dump_json(self)


OVERDUE = Problem(
    type="urn:spn:deadline",
    title="Deadline passed",
    detail="The job had not ended when its time was up. What was drawn until then is kept.",
    status=504,
)


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """How a job stands. Times are milliseconds since 1970 by Redis' clock, 0 for not yet; `done` is per picture."""

    request: JobRequest
    status: Status
    created_at: int
    started_at: int
    finished_at: int
    expires_at: int
    lease_until: int
    attempts: int
    ticket: int
    ticketed_at: int
    weights: str
    numerics: str
    last_id: str
    done: tuple[int, ...]
    error: Problem | None

    @classmethod
    def decode(cls, fields: Fields) -> Self:
        """From the record's hash."""
        text = {key.decode(): value.decode() for key, value in fields.items()}
        request = _REQUEST.validate_json(text["request"])
        return cls(
            request=request,
            status=Status(text["status"]),
            **{name: int(text.get(name) or 0) for name in _COUNTS},  # type: ignore[arg-type]
            **{name: text.get(name, "") for name in ("weights", "numerics", "last_id")},
            done=tuple(int(text[f"done:{image}"]) for image in range(request.num_images)),
            error=_PROBLEM.validate_json(text["error"]) if text.get("error") else None,
        )


_REQUEST = TypeAdapter(JobRequest)
_PROBLEM = TypeAdapter(Problem)
_COUNTS = (
    "created_at",
    "started_at",
    "finished_at",
    "expires_at",
    "lease_until",
    "attempts",
    "ticket",
    "ticketed_at",
)


PACE_SECONDS = 900
"""How long a measured pace is believed. A dead worker's is gone then; a live one's is overwritten by its next round."""


@dataclass(frozen=True, kw_only=True)
class StagePace:
    """Moving averages over the rounds of one network: seconds per round, and per row of a round."""

    round_seconds: float
    row_seconds: float


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a model is drawn: rows that fit a round, and the networks measured lately."""

    capacity: int
    stages: Mapping[Stage, StagePace]

    def encode(self) -> dict[str, str | int | float]:
        """The fields of the hash at `pace_key`."""
        fields: dict[str, str | int | float] = {"capacity": self.capacity}
        for stage, pace in self.stages.items():
            fields |= {f"{stage}:round": pace.round_seconds, f"{stage}:row": pace.row_seconds}
        return fields

    @classmethod
    def decode(cls, fields: Fields) -> Self | None:
        """From the hash; None for an empty one: nothing was measured lately."""
        if b"capacity" not in fields:
            return None
        number = {key.decode(): float(value) for key, value in fields.items()}
        measured = (stage for stage in Stage if f"{stage}:round" in number)
        return cls(
            capacity=int(number["capacity"]),
            stages={
                stage: StagePace(round_seconds=number[f"{stage}:round"], row_seconds=number[f"{stage}:row"])
                for stage in measured
            },
        )


@dataclass(frozen=True, kw_only=True)
class SliceEntry:
    """One finished slice: step number `step` of picture `image`, (h, w, C) uint8 values of `bits` bits."""

    image: int
    step: int
    stage: Stage
    k: int
    bits: int
    values: Bytes

    @classmethod
    def of(cls, progress: Progress, step: int, *, image: int = 0) -> Self:
        """The entry of one slice that is drawn."""
        stage, k = progress.geometry.steps[step]
        bits = progress.geometry.target_bits(stage)
        return cls(image=image, step=step, stage=stage, k=k, bits=bits, values=progress.slices[step])

    def encode(self) -> list[str | int | bytes]:
        """The arguments of the script's `append`, from the image on."""
        data = zlib.compress(self.values.tobytes())
        return [self.image, self.step, self.stage, self.k, self.bits, "uint8", ENTRY_VERSION, data]

    @classmethod
    def decode(cls, fields: Fields, geometry: Geometry) -> Self:
        """From a stream entry. Raises ValueError for another version."""
        if int(fields[b"version"]) != ENTRY_VERSION:
            msg = f"slice entry of version {fields[b'version'].decode()}, this reads {ENTRY_VERSION}"
            raise ValueError(msg)
        return cls(
            image=int(fields[b"image"]),
            step=int(fields[b"step"]),
            stage=Stage(fields[b"stage"].decode()),
            k=int(fields[b"k"]),
            bits=int(fields[b"bits"]),
            values=np.frombuffer(zlib.decompress(fields[b"data"]), np.uint8).reshape(geometry.slice_shape),
        )


@dataclass(frozen=True, kw_only=True)
class Event:
    """One entry of a job's stream; `slice` for EventKind.SLICE alone, `status` for EventKind.STATUS alone."""

    id: str
    kind: EventKind
    slice: SliceEntry | None = None
    status: Status | None = None
    error: Problem | None = None

    @classmethod
    def decode(cls, entry: Sequence[Any], geometry: Geometry) -> Self:
        """From an entry as XRANGE and XREAD return it."""
        key, fields = entry
        kind = EventKind(fields[b"event"].decode())
        return cls(
            id=key.decode(),
            kind=kind,
            slice=SliceEntry.decode(fields, geometry) if kind is EventKind.SLICE else None,
            status=Status(fields[b"status"].decode()) if kind is EventKind.STATUS else None,
            error=_PROBLEM.validate_json(fields[b"error"]) if fields.get(b"error") else None,
        )


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """The pictures of one job, as far as its events tell."""

    given: int
    pictures: tuple[Progress, ...]

    @classmethod
    def blank(cls, request: JobRequest) -> Self:
        """Before the first event."""
        return cls(given=request.given, pictures=(Progress(geometry=request.geometry),) * request.num_images)

    def after(self, event: Event) -> Drawing:
        """One event later. Other events than slices and restarts change nothing."""
        if event.kind is EventKind.RESTARTED:
            kept = (Progress(geometry=p.geometry, slices=p.slices[: self.given]) for p in self.pictures)
            return Drawing(given=self.given, pictures=tuple(kept))
        if event.slice is None:
            return self
        image = event.slice.image
        drawn = self.pictures[image].with_slice(event.slice.values)
        return Drawing(given=self.given, pictures=(*self.pictures[:image], drawn, *self.pictures[image + 1 :]))


def replay(request: JobRequest, events: Iterable[Event]) -> Drawing:
    """The pictures after `events`, which begin at the start of the stream."""
    drawing = Drawing.blank(request)
    for event in events:
        drawing = drawing.after(event)
    return drawing
