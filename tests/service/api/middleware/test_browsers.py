"""What browsers and proxies need: origins, hosts, headers, prefixes, methods."""

from __future__ import annotations

import asyncio
import http.client
import logging
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from pydantic import ValidationError

from service.api_keys import KeyHash, sha256_of
from service.contract import logs
from service.settings import ServiceSettings
from tests.harness.receiver import eventually, receiving
from tests.harness.sending import SECRET
from tests.harness.serving import serving

KEYS = (KeyHash(name="studio", sha256=sha256_of("key")),)
JOB = "0123456789abcdef01234567"


@pytest.fixture
def options(redis_url: str, store: redis.Redis, models: Path) -> dict[str, Any]:
    """Settings of an open server on loopback."""
    assert store.dbsize() == 0
    return {"redis_url": redis_url, "models": models, "model": "toy"}


@contextmanager
def caller(options: dict[str, Any], **more: Any) -> Iterator[httpx.Client]:  # noqa: ANN401 - settings
    """A caller of a server with these settings."""
    settings = ServiceSettings.model_validate({**options, **more})
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def broken(client: httpx.Client, store: redis.Redis) -> str:
    """The URL of a job whose record makes the server fail."""
    where = str(client.post("/generate", json={}).headers["location"])
    store.hset(f"spn:job:{where.rpartition('/')[2]}", "created_at", "1" + "0" * 17)
    return where


ORIGINS = ["https://studio.example", "tauri://localhost", "chrome-extension://abcdef", "app://studio"]


@pytest.mark.parametrize("origin", ORIGINS)
def test_origins_of_any_scheme_may_be_allowed(origin: str, options: dict[str, Any]) -> None:
    """Exactly these, and no other; with keys a loopback origin is not among them by itself."""
    with caller(options, keys=KEYS, cors_origins=",".join(ORIGINS)) as client:
        allowed = client.get("/models", headers={"Origin": origin})
        assert allowed.headers["access-control-allow-origin"] == origin
        for other in (f"{origin}.evil.example", "http://localhost:3000", "null"):
            assert "access-control-allow-origin" not in client.get("/models", headers={"Origin": other}).headers


@pytest.mark.parametrize("wrong", ["*", "https://a.example/path", "a.example", "https://*.example", "://a"])
def test_what_is_no_origin_is_refused_at_start(wrong: str) -> None:
    """With the value."""
    with pytest.raises(ValidationError, match="expected origins like"):
        ServiceSettings.model_validate({"cors_origins": wrong})


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:8080", "https://app.localhost"]
)
def test_front_ends_in_development_may_use_a_local_server(origin: str, options: dict[str, Any]) -> None:
    """Whatever their port, if only this machine reaches the API and there are no keys."""
    with caller(options) as client:
        assert client.get("/models", headers={"Origin": origin}).headers["access-control-allow-origin"] == origin
        for other in ("https://evil.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example:80"):
            assert "access-control-allow-origin" not in client.get("/models", headers={"Origin": other}).headers


def test_a_preflight_allows_the_headers_of_tracing(options: dict[str, Any]) -> None:
    """As OpenTelemetry sends them, beside our own."""
    asked = "traceparent, tracestate, baggage, authorization, content-type, idempotency-key, last-event-id, prefer"
    headers = {"Origin": ORIGINS[0], "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
    with caller(options, cors_origins=ORIGINS[0]) as client:
        answer = client.options("/generate", headers=headers)
    assert answer.status_code == 200
    assert set(asked.split(", ")) <= set(answer.headers["access-control-allow-headers"].lower().split(", "))


def test_every_refusal_can_be_read_from_another_origin(options: dict[str, Any], store: redis.Redis) -> None:
    """A fault of the server, too: it has the headers of CORS and a request id."""
    with caller(options, cors_origins=ORIGINS[0]) as client:
        where, origin = broken(client, store), {"Origin": ORIGINS[0]}
        answers = {
            500: client.get(where, headers=origin),
            404: client.get("/nowhere", headers=origin),
            405: client.put(where, headers=origin),
            413: client.post(
                "/generate", content=b" " * (2 << 20), headers={**origin, "Content-Type": "application/json"}
            ),
            422: client.post("/generate", json={"seed": -1}, headers=origin),
        }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["access-control-allow-origin"] == ORIGINS[0]
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "["])
def test_a_local_server_refuses_foreign_hosts(host: str, options: dict[str, Any]) -> None:
    """A foreign page whose name leads to this machine gets nothing (DNS rebinding)."""
    with caller(options) as client:
        for path in ("/models", "/", "/healthz"):
            answer = client.get(path, headers={"Host": host})
            assert (answer.status_code, answer.json()["status"]) == (421, 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "a.localhost"])
def test_a_local_server_has_the_names_of_loopback(host: str, options: dict[str, Any]) -> None:
    """With any port."""
    with caller(options) as client:
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_hosts_can_be_set(options: dict[str, Any]) -> None:
    """For a proxy in front; with keys or on other addresses any is accepted as long as none is set."""
    with caller(options, hosts="spn.example") as client:
        assert client.get("/healthz", headers={"Host": "spn.example:443"}).status_code == 200
        assert client.get("/healthz", headers={"Host": "other.example"}).status_code == 421
    with caller(options, keys=KEYS) as client:
        assert client.get("/healthz", headers={"Host": "any.example"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/models", "/jobs", "/nowhere", "/page/style.css", f"/jobs/{JOB}"])
def test_responses_say_what_a_browser_may_do_with_them(path: str, options: dict[str, Any]) -> None:
    """No guess at types, no referrer, no frames; the pages run their own scripts alone."""
    with caller(options) as client:
        headers = client.get(path).headers
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    scripts = re.search(r"script-src [^;]*|default-src [^;]*", policy)
    assert scripts
    assert "unsafe" not in scripts[0]
    assert "*" not in policy


def test_images_are_data_and_nothing_else(options: dict[str, Any]) -> None:
    """Opened as a page an image runs nothing."""
    with caller(options) as client:
        where = client.post("/generate", json={}).headers["location"]
        policy = client.get(f"{where}/images/0").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("strips", [True, False], ids=["proxy removes it", "proxy keeps it"])
def test_everything_works_under_a_path_prefix(strips: bool, options: dict[str, Any]) -> None:
    """Location, URLs of jobs, images and problems, pages and their files, the OpenAPI description."""
    with caller(options, root_path="/spn/", keys=KEYS) as client:

        def fetch(path: str, method: str = "GET", **more: Any) -> httpx.Response:  # noqa: ANN401 - as httpx
            assert path.startswith("/spn/")
            headers = {"Authorization": "Bearer key"}
            return client.request(method, path.removeprefix("/spn") if strips else path, headers=headers, **more)

        submitted = fetch("/spn/generate", "POST", json={})
        job, where = submitted.json(), submitted.headers["location"]
        assert where == job["urls"]["cancel"] == f"/spn/jobs/{job['id']}"
        assert job["urls"]["self"].startswith(f"{where}?sig=")
        assert job["urls"]["events"].startswith(f"{where}/events?sig=")
        assert fetch(where).json()["id"] == job["id"]
        assert fetch(where, "DELETE").status_code == 200
        assert f'"url": "{where}?sig=' in fetch(job["urls"]["events"]).text
        assert fetch("/spn/jobs/0").json()["instance"] == "/spn/jobs/0"
        assert fetch("/spn/openapi.json").json()["servers"] == [{"url": "/spn"}]
        for page in ("/spn/", "/spn/docs"):
            links = re.findall(r'(?:href|src)="([^"#]+)"', fetch(page).raise_for_status().text)
            assert len(links) >= 3
            assert {link: fetch(f"/spn/{link}").status_code for link in links} == dict.fromkeys(links, 200)


def test_webhooks_have_the_path_prefix(options: dict[str, Any]) -> None:
    """Their URLs lead to the same place as those of the job."""
    with (
        receiving() as receiver,
        caller(options, root_path="/spn", webhook_secret=SECRET, webhook_hosts=receiver.address) as client,
    ):
        hook = {"url": receiver.url, "events": ["canceled"]}
        where = client.post("/generate", json={"webhook": hook}).headers["location"]
        assert client.delete(where).status_code == 200
        asyncio.run(eventually(lambda: bool(receiver.received)))
        assert receiver.received[0].json["data"]["urls"]["self"] == where


@pytest.mark.parametrize("path", ["/generate/", "/jobs/", "/models/", "/page", f"/jobs/{JOB}/"])
def test_nothing_redirects(path: str, options: dict[str, Any]) -> None:
    """Behind a proxy with TLS a redirect would lead to http, and a POST would become a GET."""
    with caller(options) as client:
        for method in ("GET", "POST"):
            assert client.request(method, path).status_code == 404


METHODS = {
    "/": "GET, HEAD",
    "/docs": "GET, HEAD",
    "/metrics": "GET, HEAD",
    "/healthz": "GET, HEAD",
    "/models": "GET, HEAD",
    "/generate": "POST",
    "/jobs": "GET, HEAD",
    f"/jobs/{JOB}": "DELETE, GET, HEAD",
    f"/jobs/{JOB}/images/0": "GET, HEAD",
    f"/jobs/{JOB}/events": "GET",
    "/page/client.js": "GET, HEAD",
    "/page/nothing.js": "GET, HEAD",
}


@pytest.mark.parametrize(("path", "allowed"), METHODS.items())
def test_allow_lists_the_methods_that_work(path: str, allowed: str, options: dict[str, Any]) -> None:
    """HEAD wherever GET is, but for streams."""
    with caller(options) as client:
        for method in ("PUT", "PATCH"):
            answer = client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("job", [f"{JOB}:stream", "x", "a" * 65, "%00", "A" * 24, "٣" * 24])
def test_an_id_that_cannot_be_is_unknown(job: str, options: dict[str, Any]) -> None:
    """To everybody, and Redis is not asked."""
    with caller(options) as client:
        for path in (f"/jobs/{job}", f"/jobs/{job}/events", f"/jobs/{job}/images/0"):
            assert client.get(path).status_code == 404
        assert client.delete(f"/jobs/{job}").status_code == 404


def test_a_connection_is_kept_longer_than_a_load_balancer_does(options: dict[str, Any]) -> None:
    """So that the balancer closes first and no request is lost in between."""
    assert ServiceSettings().keep_alive_seconds == 75
    with caller(options, keep_alive_seconds=1) as client:
        host, port = client.base_url.host, client.base_url.port
        with closing(http.client.HTTPConnection(host, port, timeout=30)) as connection:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            sock: socket.socket = connection.sock
            assert sock.recv(1) == b""


def test_no_library_logs_urls_with_their_query(capsys: pytest.CaptureFixture[str], options: dict[str, Any]) -> None:
    """Httpx logs each at INFO: those of webhooks hold secrets."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        logs.configure(logs.LogFormat.TEXT)
        with caller(options) as client:
            client.get("/jobs", params={"limit": "7"})
    finally:
        root.handlers[:], root.level = before, level
    assert "limit=7" not in capsys.readouterr().err
