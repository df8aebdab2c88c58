"""Variations over HTTP: the first slices of an own image are kept, byte for byte."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from PIL import Image

from models.subscale import Bytes, Progress
from service.api_keys import KeyHash, sha256_of
from service.contract.redis_keys import Keys
from service.contract.transitions import Claim, Transitions
from service.settings import ServiceSettings
from tests.harness.drawing import GEOMETRY, a_picture, acquire, an_entry
from tests.harness.serving import serving

STEPS = len(GEOMETRY.steps)
KEYS = tuple(KeyHash(name=name, sha256=sha256_of(name)) for name in ("mine", "other"))


@pytest.fixture(scope="module")
def api(redis_url: str, models: Path) -> Iterator[str]:
    """A server with two owners, and models of two sizes."""
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy", keys=KEYS)) as url:
        yield url


@pytest.fixture
def client(store: redis.Redis, api: str) -> Iterator[httpx.Client]:
    """A caller with a key, and no jobs."""
    assert store.dbsize() == 0
    with httpx.Client(base_url=api, headers={"Authorization": "Bearer mine"}) as http:
        yield http


def parent(client: httpx.Client, store: redis.Redis, *, slices: int) -> str:
    """Return the id of a job of two images whose second has so many slices."""
    job: str = client.post("/generate", json={"seed": 1, "num_images": 2}).json()["id"]
    claim, transitions = Claim(keys=Keys(id=job, model="toy"), token="hand"), Transitions(store)
    transitions(acquire(claim))
    for step in range(slices):
        transitions(claim.append(an_entry(step, image=1, seed=9)))
    return job


def variation(client: httpx.Client, start: dict[str, Any], **fields: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    return client.post("/generate", json={"start": start, **fields})


@pytest.mark.parametrize(
    ("keep", "kept"), [({"slices": 1}, 1), ({"slices": 3}, 3), ({"stage": "size"}, 1), ({"stage": "depth"}, 4)]
)
def test_kept_slices_are_those_of_the_parent(
    keep: dict[str, Any], kept: int, client: httpx.Client, store: redis.Redis
) -> None:
    response = variation(client, {"job": parent(client, store, slices=STEPS), "index": 1, **keep}, num_images=2)
    job = response.json()
    assert response.status_code == 202, response.text
    expected = Progress(geometry=GEOMETRY, slices=a_picture(9).slices[:kept]).image()
    for image in job["images"]:
        assert image["slices_done"] == kept
        shown = client.get(f"/jobs/{job['id']}/images/{image['index']}")
        assert np.array_equal(opened(shown.content), expected)
    entries: Any = store.xrange(Keys(id=job["id"], model="toy").stream)
    stored = [fields[b"data"] for _, fields in entries if b"data" in fields]
    assert stored == [an_entry(step, seed=9).data for step in range(kept)] * 2


def opened(content: bytes) -> Bytes:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_new_seeds_are_used_without_one(client: httpx.Client, store: redis.Redis) -> None:
    job = parent(client, store, slices=2)
    seeds = {variation(client, {"job": job, "index": 1, "slices": 2}).json()["seed"] for _ in range(4)}
    assert len(seeds - {1, 2}) == 4


@pytest.mark.parametrize(
    ("start", "status", "field"),
    [
        ({"index": 1, "slices": 3}, 409, None),
        ({"index": 0, "slices": 1}, 409, None),
        ({"index": 1, "stage": "depth"}, 409, None),
        ({"index": 1, "slices": STEPS}, 422, "start.slices"),
        ({"index": 1, "slices": 10**9}, 422, "start.slices"),
        ({"index": 1, "slices": 0}, 422, "start.slices"),
        ({"index": 2, "slices": 1}, 422, "start.index"),
        ({"index": 16, "slices": 1}, 422, "start.index"),
        ({"index": 1, "stage": "base"}, 422, "start.stage"),
        ({"index": 1, "slices": 1, "stage": "size"}, 422, "start"),
        ({"index": 1}, 422, "start"),
        ({"index": 1, "slices": 1, "image": "AAAA"}, 422, "start.image"),
    ],
)
def test_what_cannot_be_kept_is_a_problem(
    start: dict[str, Any], status: int, field: str | None, client: httpx.Client, store: redis.Redis
) -> None:
    response = variation(client, {"job": parent(client, store, slices=2), **start})
    assert response.status_code == status, response.text
    assert field is None or [each["field"] for each in response.json()["errors"]] == [field]


def test_another_owner_s_job_does_not_exist(client: httpx.Client, store: redis.Redis) -> None:
    job = parent(client, store, slices=2)
    other = {"Authorization": "Bearer other"}
    response = client.post("/generate", json={"start": {"job": job, "index": 1, "slices": 1}}, headers=other)
    assert (response.status_code, response.json()["type"]) == (404, "urn:spn:unknown-job")


def test_a_model_of_another_size_is_refused(client: httpx.Client, store: redis.Redis) -> None:
    job = parent(client, store, slices=2)
    response = variation(client, {"job": job, "index": 1, "slices": 1}, model="slow")
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "start.job"
