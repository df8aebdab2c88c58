"""Every answer is documented with an example, and every example is true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from models.config import Geometry
from models.subscale import Progress
from service.api.openapi.examples import (
    CONTROLS,
    ERRORS,
    EVENTS,
    FAILURE,
    HEALTH,
    INLINE_SLICE,
    JOB,
    JOB_PAGE,
    JOBS,
    MODEL_LIST,
    READINESS,
    SCORED,
    SLICES,
    TOO_LONG,
    Json,
    problem,
)
from service.api.schemas import Health, JobBody, JobPage, ModelList, Readiness, SliceEvent
from service.api.sse import data
from service.app import MAX_BODY_BYTES, create_app
from service.contract.problem_types import BROKEN
from service.contract.request import JobRequest
from service.contract.statuses import EventKind, Status
from service.contract.stream import Event, SliceEntry
from service.errors import ServiceError
from service.openai.images_response import ImagesResponse, OpenAIError, OpenAIModel, OpenAIModelList
from service.problem_body import ProblemBody, problem_of
from service.settings import ServiceSettings
from service.urls import JobLinks

BODIES: list[tuple[type[BaseModel], Json]] = [
    *((JobBody, job) for job in JOBS.values()),
    (JobBody, SCORED),
    (JobPage, JOB_PAGE),
    (ModelList, MODEL_LIST),
    (Health, HEALTH),
    (Readiness, READINESS),
]
PROBLEMS = [FAILURE, TOO_LONG, *map(problem, ERRORS)]


@pytest.fixture(scope="module")
def app(models: Path) -> FastAPI:
    """An app that is described, not run."""
    return create_app(ServiceSettings(models=models, model="toy"))


def operations(app: FastAPI) -> Iterator[tuple[str, Json]]:
    """Every operation by method and path."""
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def answers(app: FastAPI) -> Iterator[tuple[str, str, Json]]:
    """(operation and status, media type, content) of every answer with text in it."""
    for name, operation in operations(app):
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                if not media_type.startswith(("image/", "application/zip")):
                    yield f"{name} {status}", media_type, content


def examples(app: FastAPI, content: Json) -> list[Any]:
    """All examples of one content."""
    named = app.openapi()["components"]["examples"]
    return [named[last(each["$ref"])]["value"] for each in content.get("examples", {}).values()]


def last(reference: str) -> str:
    """What a reference names."""
    return reference.rpartition("/")[2]


@pytest.mark.parametrize(("schema", "example"), BODIES)
def test_a_body_has_exactly_the_fields_of_its_schema(schema: type[BaseModel], example: Json) -> None:
    """Read and written again it is the same, to the format of each time."""
    assert schema.model_validate(example).model_dump(mode="json") == example


@pytest.mark.parametrize("example", PROBLEMS)
def test_a_problem_is_one(example: Json) -> None:
    """No member is missing or invented."""
    assert ProblemBody.model_validate(example).model_dump(mode="json", exclude_none=True) == example


def test_there_is_a_job_in_each_status() -> None:
    """And its status, times and error agree."""
    for status in Status:
        job = JobBody.model_validate(JOBS[status])
        assert job.status is status
        assert (job.finished_at is not None) == status.final
        assert (job.error is not None) == (status is Status.FAILED)
        drawn = [image for image in job.images if image.slices_done]
        assert job.progress.slices_done == sum(image.slices_done + image.candidates - 1 for image in drawn)
        assert job.progress.slices_total == sum(image.slices_total + image.candidates - 1 for image in job.images)


def test_the_failure_is_one_that_workers_report() -> None:
    """Word for word."""
    assert problem_of(BROKEN, FAILURE["instance"]).model_dump(exclude_none=True) == FAILURE


def refusals(root: type[ServiceError]) -> set[type[ServiceError]]:
    """The leaves of the tree of errors."""
    below = root.__subclasses__()
    return set().union(*map(refusals, below)) if below else {root}


def test_there_is_an_example_of_every_refusal() -> None:
    """A new subclass of ServiceError needs one."""
    assert {type(error) for error in ERRORS} >= refusals(ServiceError)


def test_the_documented_limit_of_a_body_is_the_real_one() -> None:
    """As the 413 says."""
    assert str(MAX_BODY_BYTES) in TOO_LONG["detail"]


def test_the_data_of_every_event_is_what_is_sent() -> None:
    """The examples equal what the stream makes of such an event."""
    (model,) = MODEL_LIST["models"]
    geometry = Geometry(size=model["width"], slice_size=16)
    request = JobRequest(
        id=JOB, model="toy", seed=7, temperature=1.0, controls=(CONTROLS,), geometry=geometry, retention_seconds=60
    )
    assert len(geometry.steps) == SLICES
    image = Progress.of(np.zeros((geometry.size, geometry.size, 3), np.uint8), geometry)
    for kind in EventKind:
        event = Event(
            id="1-0",
            kind=kind,
            slice=SliceEntry.of(image, 2) if kind is EventKind.SLICE else None,
            status=Status.RUNNING if kind is EventKind.STATUS else None,
            error=BROKEN if kind is EventKind.FAILED else None,
        )
        assert json.loads(data(request, event, None, JobLinks(job=JOB))) == EVENTS[kind]
    assert SliceEvent.model_validate(INLINE_SLICE[1]).image_b64


def test_every_answer_of_every_operation_has_an_example(app: FastAPI) -> None:
    """Those with text in it: of 2xx, 4xx and 5xx alike."""
    assert [f"{where} {media_type}" for where, media_type, content in answers(app) if not examples(app, content)] == []


def test_problems_have_the_status_they_are_documented_under(app: FastAPI) -> None:
    """And jobs, lists and models are examples of the schema they stand beside."""
    ours = (JobBody, JobPage, ModelList, Health, Readiness, ProblemBody)
    theirs = (ImagesResponse, OpenAIModel, OpenAIModelList, OpenAIError)
    schemas = {schema.__name__: schema for schema in (*ours, *theirs)}
    seen = 0
    for where, media_type, content in answers(app):
        if media_type == "text/event-stream":
            continue
        for example in examples(app, content):
            seen += 1
            read = schemas[last(content["schema"]["$ref"])].model_validate(example)
            if isinstance(read, ProblemBody):
                assert where.endswith(f" {read.status}")
    assert seen
