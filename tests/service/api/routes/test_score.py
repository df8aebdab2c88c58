"""POST /score over HTTP, against the real app and a real Redis; the test itself plays the worker."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from PIL import Image

from service.contract.redis_keys import Keys
from service.contract.stream import SliceEntry
from service.contract.transitions import Claim, Transitions
from service.settings import ServiceSettings
from tests.harness.drawing import GEOMETRY, a_likelihood, acquire
from tests.harness.serving import serving

STEPS = len(GEOMETRY.steps)
PIXELS = np.random.default_rng(4).integers(0, 256, (GEOMETRY.size, GEOMETRY.size, 3), dtype=np.uint8)
CONTROLS = {"label": "A", "hue": "blue"}


def base64_png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = PIXELS) -> str:
    """Return an image as the field has it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="module")
def api(redis_url: str, models: Path) -> Iterator[str]:
    """The app for the model `toy`."""
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy")) as url:
        yield url


@pytest.fixture
def client(store: redis.Redis, api: str) -> Iterator[httpx.Client]:
    """A caller, and no jobs."""
    assert store.dbsize() == 0
    with httpx.Client(base_url=api) as http:
        yield http


def submit(client: httpx.Client, **fields: object) -> dict[str, Any]:
    """Return a score job that was accepted."""
    response = client.post("/score", json={"image": base64_png(), **fields})
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job


def compute(store: redis.Redis, job: str, slices: int) -> Claim:
    """Append so many slices of `a_likelihood`, as a worker."""
    claim, transitions = Claim(keys=Keys(id=job, model="toy"), token="hand"), Transitions(store)
    transitions(acquire(claim))
    for step in range(slices):
        transitions(claim.append(SliceEntry.of(a_likelihood(), step)))
    return claim


def test_a_repeat_returns_the_same_job_and_another_image_is_refused(client: httpx.Client) -> None:
    """By the Idempotency-Key, as for images; the key is one of all submits."""
    headers = {"Idempotency-Key": "k"}
    first, again = (client.post("/score", json={"image": base64_png()}, headers=headers) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    other = client.post("/score", json={"image": base64_png(255 - PIXELS)}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "urn:spn:idempotency-key-reused")
    assert client.post("/generate", json={}, headers=headers).status_code == 422


def test_a_score_job_is_canceled(client: httpx.Client, store: redis.Redis) -> None:
    """It has no likelihood; the heat map of its slices stays."""
    job = submit(client)
    transitions, claim = Transitions(store), compute(store, job["id"], 2)
    assert client.delete(f"/jobs/{job['id']}").status_code == 202
    transitions(claim.cancel())
    canceled = client.get(f"/jobs/{job['id']}").json()
    assert (canceled["status"], canceled["likelihood"]) == ("canceled", None)
    assert client.get(canceled["images"][0]["url"]).status_code == 200


WRONG = {
    "image: expected 8 x 8 pixels, got 4 x 4": {"image": base64_png(PIXELS[:4, :4])},
    "image: not a PNG, WebP or JPEG": {"image": base64.b64encode(b"text").decode()},
    "controls.hue: hue has no value 'beige'": {"controls": {"hue": "beige"}},
    "label: differs from controls.label": {"label": "B", "controls": {"label": "A"}},
    "seed: Extra inputs are not permitted": {"seed": 7},
    "image: Field required": {"image": None},
    "model: there is no model": {"model": "other"},
    "webhook: this server sends no webhooks": {"webhook": {"url": "https://a.example", "events": ["succeeded"]}},
}


@pytest.mark.parametrize(("said", "fields"), WRONG.items(), ids=WRONG)
def test_a_wrong_field_is_named(said: str, fields: dict[str, Any], client: httpx.Client) -> None:
    """With what is accepted; no job is made."""
    response = client.post("/score", json={"image": base64_png(), **fields})
    assert (response.status_code, response.json()["type"]) == (422, "urn:spn:invalid-request")
    assert response.json()["detail"].startswith(said)
    assert client.get("/jobs").json()["jobs"] == []


@pytest.mark.parametrize("path", ["images/0?format=svg", "images/0?size=64", "export.zip"])
def test_a_heat_map_is_not_exported(path: str, client: httpx.Client, store: redis.Redis) -> None:
    """It has no vector form."""
    job = submit(client)["id"]
    compute(store, job, STEPS)
    response = client.get(f"/jobs/{job}/{path}")
    assert (response.status_code, response.json()["type"]) == (409, "urn:spn:no-image")


def test_a_score_job_cannot_be_varied(client: httpx.Client, store: redis.Redis) -> None:
    """It generated nothing."""
    job = submit(client)["id"]
    compute(store, job, STEPS)
    response = client.post("/generate", json={"start": {"job": job, "slices": 1}})
    assert (response.status_code, response.json()["type"]) == (409, "urn:spn:no-image")
