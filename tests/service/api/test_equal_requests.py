"""JSON that means the same is the same request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import httpx
import pytest
import redis

from service.settings import ServiceSettings
from tests.harness.serving import serving

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def url(redis_url: str, models: Path) -> Iterator[str]:
    """An open server."""
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy")) as here:
        yield here


@pytest.fixture
def http(url: str, store: redis.Redis) -> Iterator[httpx.Client]:
    """A caller, and no jobs."""
    assert store.dbsize() == 0
    with httpx.Client(base_url=url, timeout=30, headers=JSON) as client:
        yield client


EQUAL = {
    "order": ('{"seed": 1, "label": "A"}', '{"label": "A", "seed": 1}'),
    "order of controls": ('{"controls": {"label": "A", "hue": "blue"}}', '{"controls": {"hue": "blue", "label": "A"}}'),
    "order in metadata": ('{"metadata": {"a": {"b": 1, "c": [2]}}}', '{"metadata": {"a": {"c": [2], "b": 1}}}'),
    "numbers": ('{"seed": 7, "metadata": {"n": 1}}', '{"seed": 7.0, "metadata": {"n": 1.0}}'),
    "large numbers": ('{"metadata": {"n": 1e3}}', '{"metadata": {"n": 1000}}'),
    "null": ('{"seed": 1}', '{"seed": 1, "label": null, "controls": null, "num_images": null, "start": null}'),
    "null within": ('{"temperature": {"base": 1}}', '{"temperature": {"base": 1, "size": null}}'),
    "escapes": ('{"metadata": {"x": "\\u00e9"}}', '{"metadata": {"x": "é"}}'),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_equal_json_is_one_job(one: str, other: str, http: httpx.Client) -> None:
    """With one Idempotency-Key."""
    key = {"Idempotency-Key": token_hex(8)}
    first, again = (http.post("/generate", content=body.encode(), headers=key) for body in (one, other))
    assert (first.status_code, again.status_code) == (202, 202), again.text
    assert again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"metadata": {"a": [1, 2]}}', '{"metadata": {"a": [2, 1]}}'),
        ('{"metadata": {"a": 1}}', '{"metadata": {"a": "1"}}'),
        ('{"metadata": {"a": 1}}', '{"metadata": {"a": true}}'),
        ('{"metadata": {"a": null}}', '{"metadata": {}}'),
    ],
)
def test_other_json_is_another_request(one: str, other: str, http: httpx.Client) -> None:
    """The key was used with another body."""
    key = {"Idempotency-Key": token_hex(8)}
    assert http.post("/generate", content=one, headers=key).status_code == 202
    assert http.post("/generate", content=other, headers=key).json()["type"] == "urn:spn:idempotency-key-reused"


NULLS = (
    '{"model": null, "num_images": null, "seed": null, "controls": {"label": null}, "label": null, "temperature": null,'
)
NULLS += '"guidance": null, "candidates": null, "start": null, "webhook": null, "metadata": null}'


def test_null_is_unset_in_every_field(http: httpx.Client) -> None:
    """As many clients send what they have no value for; in metadata it stays what it is."""
    job = http.post("/generate", content=NULLS)
    assert job.status_code == 202, job.text
    assert (job.json()["num_images"], job.json()["controls"], job.json()["metadata"]) == (1, {}, {})
    kept = http.post("/generate", json={"metadata": {"a": None}}).json()
    assert kept["metadata"] == {"a": None}


def test_a_whole_number_may_have_a_point(http: httpx.Client) -> None:
    """JSON has one type of number; a fraction and a text are still refused."""
    job = http.post("/generate", content='{"num_images": 2.0, "seed": 7.0, "candidates": 1.0}').json()
    assert (job["num_images"], job["seed"], job["candidates"]) == (2, 7, 1)
    for wrong in ('{"seed": 7.5}', '{"seed": "7"}', '{"seed": true}', '{"temperature": "1"}', '{"temperature": true}'):
        assert http.post("/generate", content=wrong).status_code == 422
