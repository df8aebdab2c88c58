"""Stream of a job: its entries, and the images that follow from them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from models.config import Geometry, Stage
from models.subscale import Progress
from service.contract.likelihood import Likelihood
from service.contract.logs import warn_once
from service.contract.record import Fields, Problem, UnreadableRecordError, score_of
from service.contract.request import JobRequest
from service.contract.statuses import EventKind, Status

ENTRY_VERSION = 1
"""The version of `SliceEntry` on the wire."""

DTYPES = {b"uint8": np.uint8, b"float32": np.float32}
"""Dtypes of values on the wire."""


@dataclass(frozen=True, kw_only=True)
class SliceEntry:
    """Finished slice: step number `step` of image `image`, (h, w, C).

    A generated slice has uint8 values of `bits` bits. A slice of a score job has float32: -log2 p of each such value.
    `score`: of a base slice that a verifier chose or read, its probability of the requested label.
    """

    image: int
    step: int
    stage: Stage
    k: int
    bits: int
    values: NDArray[Any]
    score: float | None = None

    @classmethod
    def of(cls, progress: Progress | Likelihood, step: int, *, image: int = 0, score: float | None = None) -> Self:
        """Return the entry of one finished slice."""
        stage, k = progress.geometry.steps[step]
        bits = progress.geometry.target_bits(stage)
        kept = score if stage is Stage.BASE else None
        return cls(image=image, step=step, stage=stage, k=k, bits=bits, values=progress.slices[step], score=kept)

    @property
    def header(self) -> dict[str, JsonValue]:
        """Return the script's named arguments: everything but the values."""
        return {
            "image": self.image,
            "step": self.step,
            "stage": self.stage.value,
            "k": self.k,
            "bits": self.bits,
            "dtype": str(self.values.dtype),
            "version": ENTRY_VERSION,
            **({} if self.score is None else {"score": self.score}),
        }

    @property
    def data(self) -> bytes:
        """Return the compressed values."""
        return zlib.compress(self.values.tobytes())

    @classmethod
    def decode(cls, fields: Fields, geometry: Geometry) -> Self:
        """Read a stream entry. Raises ValueError for another version, KeyError for another dtype."""
        if int(fields[b"version"]) != ENTRY_VERSION:
            msg = f"slice entry of version {fields[b'version'].decode()}, this reads {ENTRY_VERSION}"
            raise ValueError(msg)
        dtype = DTYPES[fields[b"dtype"]]
        return cls(
            image=int(fields[b"image"]),
            step=int(fields[b"step"]),
            stage=Stage(fields[b"stage"].decode()),
            k=int(fields[b"k"]),
            bits=int(fields[b"bits"]),
            values=np.frombuffer(zlib.decompress(fields[b"data"]), dtype).reshape(geometry.slice_shape),
            score=score_of(fields.get(b"score", b"").decode()),
        )


@dataclass(frozen=True, kw_only=True)
class Event:
    """Entry of a job's stream; `slice` for EventKind.SLICE alone, `status` for EventKind.STATUS alone."""

    id: str
    kind: EventKind
    slice: SliceEntry | None = None
    status: Status | None = None
    error: Problem | None = None

    @classmethod
    def decode(cls, entry: Sequence[Any], geometry: Geometry) -> Self:
        """Read an entry as XRANGE and XREAD return it."""
        key, fields = entry
        kind = EventKind(fields[b"event"].decode())
        return cls(
            id=key.decode(),
            kind=kind,
            slice=SliceEntry.decode(fields, geometry) if kind is EventKind.SLICE else None,
            status=Status(fields[b"status"].decode()) if kind is EventKind.STATUS else None,
            error=Problem.from_json(fields[b"error"]) if fields.get(b"error") else None,
        )


def decode_events(entries: Iterable[Sequence[Any]], geometry: Geometry) -> list[Event]:
    """Read entries as XRANGE returns them. Kinds of newer releases are skipped, and logged once.

    Raises UnreadableRecordError.
    """
    known = set(EventKind)
    events = []
    try:
        for entry in entries:
            if (kind := entry[1][b"event"].decode()) in known:
                events.append(Event.decode(entry, geometry))
            else:
                warn_once(__name__, f"events of the kind {kind!r} are skipped: this release does not know it")
    except (LookupError, ValueError, zlib.error) as error:
        raise UnreadableRecordError(f"an event cannot be decoded: {error}") from error
    return events


@dataclass(frozen=True, kw_only=True)
class JobImages:
    """Images of one job and the scores of their base slices, after some of its events. A score job has a likelihood."""

    start_slices: int
    progress: tuple[Progress | Likelihood, ...]
    scores: tuple[float | None, ...]

    @classmethod
    def blank(cls, request: JobRequest) -> Self:
        """Return the images before the first event."""
        number, geometry = request.num_images, request.geometry
        first = Likelihood.blank(request.scored, geometry) if request.scored else Progress(geometry=geometry)
        progress = (first,) * number
        return cls(start_slices=request.start_slices, progress=progress, scores=(None,) * number)

    def after(self, event: Event) -> JobImages:
        """Return the images one event later. Only slices and restarts change them."""
        if event.kind is EventKind.RESTARTED:
            kept = (first_slices(each, self.start_slices) for each in self.progress)
            return JobImages(start_slices=self.start_slices, progress=tuple(kept), scores=(None,) * len(self.progress))
        if event.slice is None:
            return self
        progress, scores, image = list(self.progress), list(self.scores), event.slice.image
        progress[image] = progress[image].with_slice(event.slice.values)
        scores[image] = event.slice.score if scores[image] is None else scores[image]
        return JobImages(start_slices=self.start_slices, progress=tuple(progress), scores=tuple(scores))


def first_slices(progress: Progress | Likelihood, count: int | None) -> Progress | Likelihood:
    """Return an image, or a likelihood, after its first `count` slices; None is all."""
    if isinstance(progress, Likelihood):
        return replace(progress, slices=progress.slices[:count])
    return replace(progress, slices=progress.slices[:count])


def replay(request: JobRequest, events: Iterable[Event]) -> JobImages:
    """Return the images after `events`, which begin at the start of the stream."""
    images = JobImages.blank(request)
    for event in events:
        images = images.after(event)
    return images
