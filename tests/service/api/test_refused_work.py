"""What is refused costs little, and counts towards the rate limit."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from fastapi import Request
from pydantic import ValidationError

from service.api.requests import MAX_VALUES, GenerateRequest
from service.api_keys import KeyHash, sha256_of
from service.settings import ServiceSettings
from tests.harness.serving import serving

PER_MINUTE = 3
MEBIBYTE = 1 << 20
JSON = {"Content-Type": "application/json", "Authorization": "Bearer key"}


def nested(levels: int) -> dict[str, Any]:
    """Objects in objects."""
    return json.loads('{"a":' * levels + "1" + "}" * levels)  # type: ignore[no-any-return]


HEAVY = {
    "items": {"controls": [1] * 300_000},
    "objects": {"controls": [{}] * 200_000},
    "names": {"controls": {str(number): 1 for number in range(90_000)}},
    "controls of each": {"controls": [{str(number): 1 for number in range(5000)}] * 16},
    "fields": {str(number): 1 for number in range(90_000)},
    "temperature": {"temperature": {str(number): 1 for number in range(90_000)}},
    "start": {"start": {str(number): 1 for number in range(90_000)}},
    "webhook": {"webhook": {str(number): 1 for number in range(90_000)}},
    "events": {"webhook": {"url": "https://a.example/", "events": ["no"] * 90_000}},
    "long metadata": {"metadata": {"a": "x" * MEBIBYTE}},
    "long names of metadata": {"metadata": {"x" * MEBIBYTE: 1}},
    "nested": {"controls": nested(500)},
    "nested field": nested(500),
}


@pytest.mark.parametrize("body", HEAVY.values(), ids=HEAVY)
def test_an_invalid_body_makes_few_errors(body: dict[str, Any]) -> None:
    """Whatever list, object or union holds them: memory and time of validation do not grow with the body."""
    tracemalloc.start()
    with pytest.raises(ValidationError) as refused:
        GenerateRequest.model_validate(body)
    errors = refused.value.errors(include_url=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(errors) <= MAX_VALUES
    assert peak < 8 * MEBIBYTE if "metadata" not in body else peak < MEBIBYTE


@pytest.fixture
def http(redis_url: str, store: redis.Redis, models: Path) -> Iterator[httpx.Client]:
    """A caller with a key that may submit PER_MINUTE times."""
    assert store.dbsize() == 0
    keys = (KeyHash(name="studio", sha256=sha256_of("key")), KeyHash(name="ci", sha256=sha256_of("other")))
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy", keys=keys, rate_per_minute=PER_MINUTE)
    with serving(settings) as url, httpx.Client(base_url=url, headers=JSON, timeout=30) as client:
        yield client


REFUSED = {
    "a field": json.dumps({"num_images": 99}),
    "a value": json.dumps({"controls": {"hue": "beige"}}),
    "no JSON": '{"controls": [',
    "no UTF-8": b'{"label": "\xff"}',
    "too long": b" " * (2 * MEBIBYTE),
    "no webhooks here": json.dumps({"webhook": {"url": "https://a.example/", "events": ["failed"]}}),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_refused_submits_count_towards_the_rate_limit(body: str | bytes, http: httpx.Client) -> None:
    """After so many the answer is 429, for these and for a valid submit, and other owners notice nothing."""
    first = [http.post("/generate", content=body).status_code for _ in range(PER_MINUTE)]
    assert set(first) <= {400, 413, 422}
    limited = http.post("/generate", content=body)
    assert (limited.status_code, limited.json()["type"]) == (429, "urn:spn:rate-limited")
    assert 0 < int(limited.headers["retry-after"]) <= 60
    assert http.post("/generate", json={}).status_code == 429
    assert http.post("/generate", json={}, headers={"Authorization": "Bearer other"}).status_code == 202


def test_other_media_types_count_too(http: httpx.Client) -> None:
    """They are refused before the body is read."""
    text = {"Content-Type": "text/plain"}
    statuses = [http.post("/generate", content=b"{}", headers=text).status_code for _ in range(PER_MINUTE + 1)]
    assert statuses == [415] * PER_MINUTE + [429]


def test_a_limited_owner_does_not_extend_the_limit(http: httpx.Client, store: redis.Redis) -> None:
    """Refusals beyond the limit are not counted again."""
    for _ in range(PER_MINUTE + 5):
        http.post("/generate", json={"num_images": 99})
    assert store.zcard("spn:owner:studio:submits") == PER_MINUTE


def test_a_body_without_a_key_is_not_read(http: httpx.Client) -> None:
    """401 comes before any work."""
    began = time.monotonic()
    answer = http.post("/generate", content='{"controls": [', headers={"Authorization": ""})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:spn:key-missing")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "path", ["/jobs?width=5", "/jobs?limit=5&Limit=6", "/models?x", "/healthz?probe=1", "/jobs/00?wait=1&t=2"]
)
def test_unknown_query_parameters_are_refused(path: str, http: httpx.Client) -> None:
    """By name, with what is accepted."""
    answer = http.get(path)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:spn:invalid-request")
    assert "unknown query parameter; accepted here: " in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/jobs?limit=5&limit=6", "limit"),
        ("/jobs?limit=5&limit=5", "limit"),
        ("/jobs?status=failed&status=queued", "status"),
        ("/jobs/00?wait=1&wait=1", "wait"),
        ("/jobs/00/images/0?format=png&format=svg", "format"),
        ("/jobs/00/events?inline=1&inline=0", "inline"),
    ],
)
def test_a_query_parameter_that_comes_twice_is_refused(path: str, name: str, http: httpx.Client) -> None:
    """Whichever was meant, it is not guessed."""
    answer = http.get(path)
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"field": name, "message": "sent 2 times; send it once"}],
    )


def test_a_header_of_one_value_that_comes_twice_is_refused(http: httpx.Client) -> None:
    """Others are lists: of two lines with ETags both count."""
    twice = [(b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"b")]
    request = http.build_request("POST", "/generate", json={})
    request.headers = httpx.Headers([*request.headers.raw, *twice])
    answer = http.send(request)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize("name", ["items", "objects", "names", "fields"])
def test_a_body_of_too_many_values_is_not_parsed(
    name: str, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing alone would keep the event loop for 40 ms, and make 10 MiB of garbage."""
    monkeypatch.setattr(Request, "json", lambda _: pytest.fail("it is parsed"))
    answer = http.post("/generate", json=HEAVY[name])
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"field": "body", "message": "at most 512 values outside of metadata are accepted"}],
    )


def test_the_largest_valid_body_is_accepted(http: httpx.Client) -> None:
    """Sixteen images with controls of their own, and metadata full of commas."""
    body = {"num_images": 16, "controls": [{"label": "A"}] * 16, "metadata": {"a": "," * 4000}}
    assert http.post("/generate", json=body).status_code == 202
