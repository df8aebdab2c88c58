"""Examples of all answers, for the OpenAPI description: one job from the queue to its end, and every refusal.

A test keeps each one true: bodies have exactly the fields of their schema, events are those that `service.api.sse`
writes, problems are made from the very errors that are raised.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from service.contract.request import Task
from service.contract.statuses import EventKind, Status
from service.errors import (
    CellUnavailableError,
    ConcurrencyLimitError,
    DestinationError,
    FieldError,
    KeyReusedError,
    ListingLimitError,
    MissingKeyError,
    NoImageError,
    NotFinalError,
    NotGeneratedError,
    NotStartedError,
    QueueFullError,
    RateLimitedError,
    ServiceError,
    SignatureError,
    SlicesMissingError,
    UnavailableError,
    UnknownJobError,
    UnknownKeyError,
    UnreadableError,
    UnreadableJobError,
    UnsupportedMediaTypeError,
)
from service.problem_body import ProblemBody

Json = dict[str, Any]
"""A JSON object."""

JOB = "5f0c3f6b9a1d4e27c8b05a91"
HERE = f"/jobs/{JOB}"
CONTROLS = {"label": "A", "hue": "blue", "tile": "circle"}
SLICES = 32
FURTHER = 3
"""Candidates beside the one that is kept."""

PNG_START = "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAC"
"""The image of an inline slice event, shortened."""

ERRORS: tuple[ServiceError, ...] = (
    UnreadableError(),
    MissingKeyError(),
    UnknownKeyError(),
    SignatureError(),
    UnknownJobError(JOB),
    NotStartedError(),
    NotGeneratedError("This image has 3 slices so far, not 5. Wait for more `slice` events."),
    NotFinalError(),
    NoImageError(),
    SlicesMissingError("This image has 3 slices so far, not 5. Wait, or keep fewer."),
    UnsupportedMediaTypeError(),
    FieldError("controls.hue", "hue has no value 'beige'; it has: red, orange, yellow"),
    DestinationError("only public addresses are accepted"),
    KeyReusedError(),
    RateLimitedError(retry_after_seconds=12),
    ConcurrencyLimitError(retry_after_seconds=5),
    QueueFullError(retry_after_seconds=10),
    ListingLimitError(retry_after_seconds=12),
    UnreadableJobError(JOB),
    UnavailableError(),
    CellUnavailableError("01"),
)
"""One of each class."""

TOO_LONG: Json = {
    "type": "about:blank",
    "title": HTTPStatus(413).phrase,
    "status": 413,
    "detail": "A request body may have 1048576 bytes. Send fewer.",
    "instance": "/generate",
}
"""Answer of the body limit, before any endpoint."""

FAILURE: Json = {
    "type": "urn:spn:drawing-failed",
    "title": "Generation failed",
    "status": 500,
    "detail": "The model failed to generate a slice.",
    "instance": HERE,
}


def image(slices_done: int) -> Json:
    """Return the image of the job after so many slices."""
    final = slices_done == SLICES
    url = f"{HERE}/images/0" if final else f"{HERE}/images/0?slices={slices_done}"
    shape = {"index": 0, "seed": 7, "controls": CONTROLS, "width": 64, "height": 64}
    score = 0.97 if slices_done else None
    counts = {"slices_done": slices_done, "slices_total": SLICES, "candidates": 1 + FURTHER}
    return {**shape, **counts, "final": final, "score": score, "url": url if slices_done else None}


def progress(slices_done: int, stage: str) -> Json:
    """Return the job after so many slices; they include three further candidates."""
    done, total = slices_done + (FURTHER if slices_done else 0), SLICES + FURTHER
    return {
        "stage": stage,
        "slices_done": done,
        "slices_total": total,
        "fraction": round(done / total, 4),
    }


QUEUED: Json = {
    "id": JOB,
    "task": Task.GENERATE,
    "status": Status.QUEUED,
    "model": "symbols-64",
    "controls": CONTROLS,
    "seed": 7,
    "num_images": 1,
    "temperature": {"base": 1.0, "size": 0.7, "depth": 0.8},
    "guidance": 2.0,
    "candidates": 4,
    "start": None,
    "priority": "interactive",
    "metadata": {"design": "app-icon-3"},
    "created_at": "2026-03-02T09:30:00.120000Z",
    "started_at": None,
    "finished_at": None,
    "expires_at": None,
    "queue_position": 2,
    "eta_seconds": None,
    "progress": progress(0, "base"),
    "images": [image(0)],
    "likelihood": None,
    "error": None,
    "attempts": 0,
    "urls": {"self": HERE, "events": f"{HERE}/events", "cancel": HERE},
}
RUNNING: Json = {
    **QUEUED,
    "status": Status.RUNNING,
    "started_at": "2026-03-02T09:30:01.480000Z",
    "queue_position": None,
    "progress": progress(3, "size"),
    "images": [image(3)],
    "attempts": 1,
}
ENDED: Json = {
    **RUNNING,
    "finished_at": "2026-03-02T09:30:04.910000Z",
    "expires_at": "2026-03-03T09:30:04.910000Z",
}

JOBS: dict[Status, Json] = {
    Status.QUEUED: QUEUED,
    Status.RUNNING: RUNNING,
    Status.SUCCEEDED: {
        **ENDED,
        "status": Status.SUCCEEDED,
        "progress": progress(SLICES, "depth"),
        "images": [image(SLICES)],
    },
    Status.FAILED: {**ENDED, "status": Status.FAILED, "error": {**FAILURE, "errors": None}},
    Status.CANCELED: {**ENDED, "status": Status.CANCELED},
}
"""The same job in every state."""

STAGES = {"base": 0.0081, "size": 0.0405, "depth": 0.2614}
"""Bits per dimension by network."""

SCORED: Json = {
    **JOBS[Status.SUCCEEDED],
    "task": Task.SCORE,
    "seed": 0,
    "temperature": 1.0,
    "guidance": 1.0,
    "candidates": 1,
    "progress": {"stage": "depth", "slices_done": SLICES, "slices_total": SLICES, "fraction": 1.0},
    "images": [{**image(SLICES), "seed": 0, "candidates": 1, "score": None}],
    "likelihood": {
        "bits_per_dim": 0.31,
        "stages": STAGES,
        "slices": [
            {"stage": "base", "slice": 0, "bits": 99.5},
            {"stage": "size", "slice": 1, "bits": 61.2},
            {"stage": "depth", "slice": 0, "bits": 540.7},
        ],
    },
}
"""A score job that has succeeded, with three of its slices."""

JOB_PAGE: Json = {"jobs": [JOBS[Status.SUCCEEDED]], "next_cursor": f"1772443800120:{JOB}", "missing_cells": []}

MODEL_LIST: Json = {
    "models": [
        {
            "name": "symbols-64",
            "default": True,
            "width": 64,
            "height": 64,
            "controls": {
                "label": ["A", "B", "home"],
                "style": ["solid", "outline", "sans"],
                "hue": ["red", "blue"],
                "tile": ["circle", "rounded", "square", "none"],
            },
            "aliases": {"label": {"a": "A", "b": "B", "house": "home"}},
            "sampling": {"temperature": {"base": 1.0, "size": 0.7, "depth": 0.8}, "guidance": 2.0, "candidates": 4},
            "guided": ["base"],
            "verifier": True,
            "stages": ["base", "size", "depth"],
            "slices": SLICES,
            "start_sizes": {"size": [16], "depth": [64]},
            "parameters": 3_952_080,
            "bits_per_dim": {"tiles": 0.5048, "all": 0.6116},
            "licence": "Apache-2.0",
            "sheet_url": "/models/symbols-64/sheet.png",
        }
    ]
}
HEALTH: Json = {"status": "ok"}
READINESS: Json = {
    "status": "ok",
    "workers": {"symbols-64": 1},
    "tasks": {"event_reader": "running", "reaper": "running"},
}

SLICE: Json = {
    "index": 0,
    "stage": "size",
    "slices_done": 3,
    "slices_total": SLICES,
    "url": f"{HERE}/images/0?slices=3",
}
EVENTS: dict[EventKind, Json] = {
    EventKind.STATUS: {"status": Status.RUNNING},
    EventKind.SLICE: SLICE,
    EventKind.RESTARTED: {"url": HERE},
    EventKind.SUCCEEDED: {"url": HERE},
    EventKind.FAILED: FAILURE,
    EventKind.CANCELED: {"url": HERE},
}
"""The data of each kind of event."""

INLINE_SLICE = (EventKind.SLICE, {**SLICE, "image_b64": PNG_START})
"""The same with `?inline=1`."""


def event(kind: EventKind, data: Json, sequence: int) -> str:
    """Return an event as it is sent."""
    return format_sse_event(event=kind, id=f"1772443801480-{sequence}", data_str=json.dumps(data)).decode()


def stream() -> str:
    """Return a stream, without most of its slices."""
    events = [
        event(EventKind.STATUS, {"status": Status.QUEUED}, 0),
        event(EventKind.STATUS, EVENTS[EventKind.STATUS], 1),
        event(EventKind.SLICE, SLICE, 2),
        KEEPALIVE_COMMENT.decode(),
        event(EventKind.SUCCEEDED, EVENTS[EventKind.SUCCEEDED], 3),
    ]
    return "".join(events)


def problem(error: ServiceError) -> Json:
    """Return the body of a refusal."""
    body = ProblemBody(
        type=error.type,
        title=error.title,
        status=error.status,
        detail=str(error),
        instance=HERE,
        errors=error.errors,
    )
    return body.model_dump(mode="json", exclude_none=True)


def slug(error: ServiceError | type[ServiceError]) -> str:
    """Return the last part of a problem's type."""
    return error.type.rpartition(":")[2]


EXAMPLES: dict[str, Json | str] = {
    **{f"job-{status}": job for status, job in JOBS.items()},
    "scored": SCORED,
    "jobs": JOB_PAGE,
    "models": MODEL_LIST,
    "health": HEALTH,
    "readiness": READINESS,
    **{f"problem-{slug(error)}": problem(error) for error in ERRORS},
    "problem-too-long": TOO_LONG,
    "event-stream": stream(),
    **{f"event-{kind}": event(kind, data, 1) for kind, data in EVENTS.items()},
    "event-slice-inline": event(*INLINE_SLICE, 1),
}
"""All examples by name, as components of the description."""
