"""OpenAPI responses of the endpoints; they refer to the examples by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.constants import REF_TEMPLATE
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.openapi.examples import EXAMPLES, Json, slug
from service.api.schemas import JobBody, JobEvent, SliceEvent, StatusEvent
from service.contract.statuses import EventKind, Status
from service.errors import RetryLaterError, ServiceError
from service.problem_body import ProblemBody

Answer = dict[str, Any]
"""A response as FastAPI describes it."""

RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds until the next try."}}

EVENTS: tuple[type[BaseModel], ...] = (StatusEvent, SliceEvent, JobEvent, ProblemBody)
"""Data of events, by schema."""

REQUESTS = ("GenerateRequest", "ImagesRequest", "ScoreRequest", "Variation")
"""Schemas whose fields have defaults. Generators of types take a field with a default for one that is always there."""

BINARY: Answer = {"schema": {"type": "string", "format": "binary"}}
"""Content of a file."""

Answers = dict[int | str, Answer]
"""By status."""


def describe(app: FastAPI, *, examples: Mapping[str, Json | str], events: Sequence[type[BaseModel]]) -> None:
    """Add examples, and the schemas of the data of events, to the app's description.

    FastAPI itself would drop every null in an example, and describes a stream's items as text alone.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        schema: dict[str, Any] = generate()
        schema["components"]["schemas"] |= schemas_of(events)
        for name in REQUESTS:
            for field in schema["components"]["schemas"][name]["properties"].values():
                field.pop("default", None)
        schema["components"]["examples"] = {name: {"value": value} for name, value in examples.items()}
        for operation in (each for path in schema["paths"].values() for each in path.values()):
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = without_null(parameter["schema"])
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def schemas_of(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """Return the schemas of some bodies by name."""
    _, schema = models_json_schema([(model, "serialization") for model in models], ref_template=REF_TEMPLATE)
    found: dict[str, Any] = schema["$defs"]
    return found


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter's schema without null: in a query or header it would be the word "null"."""
    if "anyOf" not in schema:
        return schema
    others: list[dict[str, Any]] = [each for each in schema["anyOf"] if each != {"type": "null"}]
    return {name: value for name, value in schema.items() if name != "anyOf"} | others[0]


def answer(*examples: str) -> Answer:
    """Return a JSON response with these examples."""
    return {"content": {"application/json": {"examples": named(*examples)}}}


def a_job(description: str, *statuses: Status) -> Answer:
    """Return a response with a job in one of `statuses`."""
    return {"model": JobBody, "description": description, **answer(*(f"job-{status}" for status in statuses))}


def refusals(*errors: type[ServiceError]) -> Answers:
    """Return the problems of these errors, by status."""
    found = {
        status: refusal(*(f"problem-{slug(error)}" for error in errors if error.status == status))
        for status in sorted({error.status for error in errors})
    }
    for status in {error.status for error in errors if issubclass(error, RetryLaterError)}:
        found[status]["headers"] = RETRY_AFTER
    return found  # type: ignore[return-value]


def refusal(*examples: str) -> Answer:
    """Return a response with a problem, with these examples."""
    schema = {"$ref": REF_TEMPLATE.format(model=ProblemBody.__name__)}
    content = {"application/problem+json": {"schema": schema, "examples": named(*examples)}}
    return {"description": "Refused.", "content": content}


def named(*examples: str) -> dict[str, Any]:
    """Return references to components of the description."""
    return {name: {"$ref": f"#/components/examples/{name}"} for name in examples}


LONG_BODY: Answers = {413: refusal("problem-too-long")}

AN_EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": list(EventKind)},
        "id": {"type": "string", "pattern": r"^\d+-\d+$"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"anyOf": [{"$ref": REF_TEMPLATE.format(model=model.__name__)} for model in EVENTS]},
        },
    },
    "required": ["event", "id", "data"],
}
"""An event, as FastAPI describes the items of a stream."""

EVENT_STREAM: Answer = {
    "description": "Events as they happen. The data of a failed event is the problem, of a slice event its progress.",
    "content": {
        EventSourceResponse.media_type: {
            "itemSchema": AN_EVENT,
            "examples": named(*(name for name in EXAMPLES if name.startswith("event-"))),
        }
    },
}
