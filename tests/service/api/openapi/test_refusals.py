"""Every refusal there is, provoked over HTTP; and the page that lists them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from service.api.openapi.refusals import ALL, Refusal, page
from service.api_keys import KeyHash, sha256_of
from service.contract.redis_keys import Keys
from service.contract.transitions import Claim, Transitions
from service.jobs.listing import PAGES_PER_MINUTE
from service.local.processes import free_port
from service.settings import ServiceSettings
from tests.harness.drawing import acquire, an_entry
from tests.harness.serving import serving
from tests.service.api.routes.test_score import base64_png

PAGE = Path(__file__).parents[4] / "docs" / "refusals.md"
KEYS = (KeyHash(name="studio", sha256=sha256_of("key")),)
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
NONE = "/jobs/" + "0" * 24


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A running server."""

    http: httpx.Client
    store: redis.Redis

    def submit(self, json: object = None, **headers: str) -> httpx.Response:
        """POST /generate."""
        return self.http.post("/generate", json=json or {}, headers=headers)

    def job(self, *, slices: int = 0) -> str:
        """Where a new job is, with so many slices drawn."""
        where = self.submit().headers["location"]
        transitions, claim = Transitions(self.store), Claim(keys=Keys(id=where[6:], model="toy"), token="hand")
        for call in (acquire(claim), *(claim.append(an_entry(step)) for step in range(slices))) if slices else ():
            transitions(call)
        return str(where)

    def broken(self, field: str, value: str) -> str:
        """Where a job is whose record has a damaged field."""
        where = self.job()
        self.store.hset(Keys(id=where[6:], model="toy").record, field, value)
        return where

    def listed_too_often(self) -> httpx.Response:
        """One page more than the limit."""
        for _ in range(PAGES_PER_MINUTE):
            if (response := self.http.get("/jobs?limit=1")).is_error:
                return response
        return self.http.get("/jobs?limit=1")


@dataclass(frozen=True, kw_only=True)
class Provocation:
    """What leads to a refusal, under which settings."""

    ask: Callable[[Scene], httpx.Response]
    settings: dict[str, Any] = field(default_factory=dict)


def twice(scene: Scene) -> httpx.Response:
    """A second job."""
    scene.submit()
    return scene.submit()


def unreadable(scene: Scene) -> httpx.Response:
    """JSON in another encoding than UTF-8."""
    return scene.http.post("/generate", content=b'{"label": "\xff"}', headers={"Content-Type": "application/json"})


def no_image(scene: Scene) -> httpx.Response:
    """The archive of a job that scores an image."""
    where = scene.http.post("/score", json={"image": base64_png()}).headers["location"]
    return scene.http.get(f"{where}/export.zip")


def reused(scene: Scene) -> httpx.Response:
    """One key, two bodies."""
    scene.submit({"seed": 1}, **{"Idempotency-Key": "k"})
    return scene.submit({"seed": 2}, **{"Idempotency-Key": "k"})


def keyless(path: str, **headers: str) -> Callable[[Scene], httpx.Response]:
    """Without the scene's key."""
    return lambda scene: httpx.get(f"{scene.http.base_url}{path}", headers=headers)


PROVOCATIONS: dict[str, Provocation] = {
    "Unreadable": Provocation(ask=unreadable),
    "UnsupportedMediaType": Provocation(ask=lambda scene: scene.http.post("/generate", content="{}")),
    "MissingKey": Provocation(ask=keyless("/jobs"), settings={"keys": KEYS}),
    "UnknownKey": Provocation(ask=keyless("/jobs", Authorization="Bearer x"), settings={"keys": KEYS}),
    "Signature": Provocation(ask=keyless(f"{NONE}/events?sig=x"), settings={"keys": KEYS}),
    "UnknownJob": Provocation(ask=lambda scene: scene.http.get(NONE)),
    "NotStarted": Provocation(ask=lambda scene: scene.http.get(f"{scene.job()}/images/0")),
    "NotGenerated": Provocation(ask=lambda scene: scene.http.get(f"{scene.job(slices=1)}/images/0?slices=2")),
    "NoImage": Provocation(ask=no_image),
    "NotFinal": Provocation(ask=lambda scene: scene.http.get(f"{scene.job(slices=1)}/images/0?format=svg")),
    "SlicesMissing": Provocation(
        ask=lambda scene: scene.submit({"start": {"job": scene.job(slices=1)[6:], "slices": 2}})
    ),
    "Field": Provocation(ask=lambda scene: scene.submit({"controls": {"hue": "beige"}})),
    "Destination": Provocation(
        ask=lambda scene: scene.submit({"webhook": {"url": "https://10.0.0.1/", "events": ["failed"]}}),
        settings={"webhook_secret": SECRET},
    ),
    "KeyReused": Provocation(ask=reused),
    "RateLimited": Provocation(ask=twice, settings={"rate_per_minute": 1}),
    "ConcurrencyLimit": Provocation(ask=twice, settings={"concurrency": 1}),
    "QueueFull": Provocation(ask=twice, settings={"queue_bound": 1}),
    "Unavailable": Provocation(
        ask=lambda scene: scene.http.get(NONE), settings={"redis_url": f"redis://127.0.0.1:{free_port()}/0"}
    ),
    "CellUnavailable": Provocation(
        ask=lambda scene: scene.http.get("/jobs/01" + "0" * 24),
        settings={"cell": "00", "cells": f"00=http://127.0.0.1:1,01=http://127.0.0.1:{free_port()}"},
    ),
    "NoSuchPath": Provocation(ask=lambda scene: scene.http.get("/nothing")),
    "NoSuchMethod": Provocation(ask=lambda scene: scene.http.put(NONE)),
    "TooLong": Provocation(ask=lambda scene: scene.submit({"metadata": {"long": "x" * (1 << 20)}})),
    "Unexpected": Provocation(ask=lambda scene: scene.http.get(scene.broken("created_at", "1" + "0" * 17))),
    "UnreadableJob": Provocation(ask=lambda scene: scene.http.get(scene.broken("status", "lost"))),
    "ListingLimit": Provocation(ask=Scene.listed_too_often),
    "ForeignHost": Provocation(ask=lambda scene: scene.http.get("/models", headers={"Host": "evil.example"})),
}


@contextmanager
def scene(settings: dict[str, Any], store: redis.Redis, redis_url: str, models: Path) -> Iterator[Scene]:
    """A server under `settings`, and a caller with its key."""
    options = {"redis_url": redis_url, "models": models, "model": "toy", **settings}
    with (
        serving(ServiceSettings.model_validate(options)) as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer key"}, timeout=30) as http,
    ):
        yield Scene(http=http, store=store)


@pytest.mark.parametrize("refusal", ALL, ids=lambda refusal: refusal.name)
def test_it_is_refused_as_listed(refusal: Refusal, store: redis.Redis, redis_url: str, models: Path) -> None:
    """With the status and type of its row, a detail of the example's form, and the headers that go with it."""
    provocation = PROVOCATIONS[refusal.name]
    with scene(provocation.settings, store, redis_url, models) as here:
        answer = provocation.ask(here)
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["status"], body["type"]) == (refusal.status, refusal.status, refusal.type)
    assert body["instance"] == answer.request.url.path
    assert form(body["detail"]) == form(refusal.detail) or "errors" in body
    assert ("retry-after" in answer.headers) == (refusal.status in {429, 503})
    assert ("errors" in body) == (refusal.type == "urn:spn:invalid-request")
    assert answer.headers["x-request-id"]


def form(detail: str) -> str:
    """Without its numbers and ids."""
    return re.sub(r"'.*'|[0-9]+", "-", detail)


def test_each_has_its_own_provocation() -> None:
    """No row is without a test, no test without a row."""
    assert {refusal.name for refusal in ALL} == set(PROVOCATIONS)


def test_the_page_is_current() -> None:
    """What `python -m service.api.openapi.refusals` prints."""
    assert PAGE.read_text() == page()
