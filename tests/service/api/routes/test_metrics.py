"""GET /metrics of the real app."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from service.contract.transitions import Transitions, announce
from service.local.processes import free_port
from service.settings import ServiceSettings
from tests.harness.drawing import a_running_job
from tests.harness.sending import canceled_job
from tests.harness.serving import serving


@pytest.fixture
def client(store: redis.Redis, redis_url: str, models: Path) -> Iterator[httpx.Client]:
    """A caller of a fresh app: it has counted nothing."""
    assert store.dbsize() == 0
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy", reaper_seconds=60)
    with serving(settings) as url, httpx.Client(base_url=url) as http:
        yield http


def sample(client: httpx.Client, name: str, **labels: str) -> float | None:
    """A figure of a scrape; None if it is not told."""
    response = client.get("/metrics")
    assert response.status_code == 200
    found = [
        sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found) if found else None


def until(true: Callable[[], bool]) -> None:
    """Returns once it is."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_scrape_tells_queue_jobs_and_workers(client: httpx.Client, store: redis.Redis) -> None:
    """As they are in Redis at that moment, whichever process serves them."""
    transitions = Transitions(store)
    assert sample(client, "spn_jobs_queued", model="toy") == 0
    client.post("/generate", json={})
    a_running_job(transitions)
    transitions(announce("toy", "w", seconds=30))
    assert sample(client, "spn_jobs_queued", model="toy") == 1
    assert sample(client, "spn_jobs_running", model="toy") == 1
    assert sample(client, "spn_workers", model="toy") == 1
    assert sample(client, "spn_workers", model="slow") == 0


def test_requests_are_counted_by_template(client: httpx.Client) -> None:
    """Labels are templates of paths and common methods. Ids, unknown paths and rare methods are no labels."""
    for job in ("a", "b"):
        client.get(f"/jobs/{job}")
    assert client.request("PROPFIND", "/coffee").status_code == 404
    assert client.request("BREW", "/coffee").status_code == 400  # before there is a request to count
    counted = "spn_http_request_seconds_count"
    assert sample(client, counted, method="GET", route="/jobs/{job}", status="404") == 2
    assert sample(client, counted, method="other", route="other") == 1
    text = client.get("/metrics").text
    assert "coffee" not in text
    assert "BREW" not in text
    assert "signature" not in text


def test_refusals_are_counted_by_type(client: httpx.Client) -> None:
    """The same types that callers see."""
    client.get("/jobs/none")
    client.post("/generate", json={"num_images": 99})
    client.post("/generate", content=b" " * (2 << 20), headers={"Content-Type": "application/json"})
    assert sample(client, "spn_http_refusals_total", type="urn:spn:unknown-job", status="404") == 1
    assert sample(client, "spn_http_refusals_total", type="urn:spn:invalid-request", status="422") == 1
    assert sample(client, "spn_http_refusals_total", type="about:blank", status="413") == 1


def test_open_event_streams_are_counted(client: httpx.Client) -> None:
    """Up when one opens, down when its reader leaves."""
    job = client.post("/generate", json={}).json()
    assert sample(client, "spn_http_event_streams") == 0
    with client.stream("GET", job["urls"]["events"]) as stream:
        chunks = stream.iter_raw()
        assert b"queued" in next(chunks)
        assert sample(client, "spn_http_event_streams") == 1
    until(lambda: sample(client, "spn_http_event_streams") == 0)


def test_the_schema_does_not_show_it(client: httpx.Client) -> None:
    """It is the operator's, not the caller's."""
    assert "/metrics" not in client.get("/openapi.json").json()["paths"]


def test_without_redis_the_rest_is_told(models: Path) -> None:
    """And that Redis is away; no stale figure of its stands in for it."""
    settings = ServiceSettings(redis_url=f"redis://127.0.0.1:{free_port()}/0", models=models, model="toy")
    with serving(settings) as url, httpx.Client(base_url=url, timeout=10) as client:
        assert sample(client, "spn_redis_up") == 0
        assert sample(client, "spn_jobs_queued") is None
        assert sample(client, "spn_http_event_streams") == 0


def test_two_apps_in_one_process_count_apart(client: httpx.Client, redis_url: str, models: Path) -> None:
    """No figure is the module's."""
    client.get("/jobs/none")
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy")
    with serving(settings) as url, httpx.Client(base_url=url) as other:
        assert sample(other, "spn_http_refusals_total") is None
    assert sample(client, "spn_http_refusals_total") == 1


def test_a_scrape_has_the_size_of_the_outbox(client: httpx.Client, store: redis.Redis) -> None:
    """Deliveries, their bytes and those dropped, as Redis counts them."""
    names = ("spn_webhook_deliveries", "spn_webhook_bytes", "spn_webhook_dropped")
    assert [sample(client, name) for name in names] == [0, 0, 0]
    canceled_job(store, "https://example.com/hook")
    deliveries, size, dropped = (sample(client, name) for name in names)
    assert (deliveries, dropped) == (1, 0)
    assert size is not None
    assert size > 384
