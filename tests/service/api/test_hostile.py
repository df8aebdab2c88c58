"""Requests that nobody means well, or that were sent by something broken: a clear refusal, short, and never a 500."""

from __future__ import annotations

import base64
import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import httpx
import pytest
import redis
from PIL import Image

from service.api.routes.dependencies import known
from service.contract.redis_keys import Keys
from service.contract.transitions import Claim, Transitions
from service.images import ImageFormat, preferred
from service.settings import ServiceSettings
from tests.harness.drawing import GEOMETRY, acquire, an_entry
from tests.harness.serving import serving

JSON = {"Content-Type": "application/json"}
HUGE = b"9" * 5000
SHORT_BYTES = 100_000


@pytest.fixture(scope="module")
def url(redis_url: str, models: Path) -> Iterator[str]:
    """An open server."""
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy", queue_bound=100_000)) as here:
        yield here


@pytest.fixture
def http(url: str, store: redis.Redis) -> Iterator[httpx.Client]:
    """A caller, and no jobs."""
    assert store.dbsize() == 0
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client


def a_finished_job(http: httpx.Client, store: redis.Redis) -> str:
    """Where it is."""
    where = str(http.post("/generate", json={}).headers["location"])
    transitions, claim = Transitions(store), Claim(keys=Keys(id=where[6:], model="toy"), token="hand")
    steps = range(len(GEOMETRY.steps))
    for call in (acquire(claim), *(claim.append(an_entry(step)) for step in steps), claim.finish()):
        transitions(call)
    return where


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"temperature": NaN}', 422, "temperature: "),
        (b'{"metadata": {"x": NaN}}', 422, "metadata: NaN and Infinity are no JSON"),
        (b'{"metadata": {"x": [{"y": 1e999}]}}', 422, "metadata: NaN and Infinity are no JSON"),
        (b'{"metadata": {"\\ud800": 1}}', 422, "metadata: half of a surrogate pair is no text"),
        (b'{"controls": {"\\ud800": "A"}}', 422, "controls."),
        (b'{"label": "\\ud800"}', 422, "label: "),
        (b'{"model": "\\ud800"}', 422, "model: "),
        (b'{"\\ud800": 1}', 422, "body: "),
        (b'{"start": {"stage": "size", "image": "\\ud800"}}', 422, "start.image: "),
        (b'{"seed": 1' + HUGE + b"}", 400, "digits"),
        (b'{"metadata": {"x": ' + b"[" * 5000 + b"]" * 5000 + b"}}", 400, "nested"),
        (b'{"metadata": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", 422, "body: at most 512 values"),
        (b'{"metadata": {"x": ' + b"[" * 900 + b"]" * 900 + b"}}", 422, "metadata: at most 16 levels"),
        (b'{"lable": null}', 422, "lable: Extra inputs are not permitted"),
        (b'{"start": {"job": "a", "slice": null}}', 422, "start.slice: Extra inputs are not permitted"),
        (b'{"webhook": {"url": "https://a.example", "event": null}}', 422, "webhook.event: Extra inputs"),
        (b'{"temperature": {"bass": null}}', 422, "temperature.bass: Extra inputs"),
        (b"null", 422, "body: expected a JSON object"),
        (b"", 422, "body: "),
        (b"{", 422, "JSON"),
        (b"\x1f\x8b\x08\x00", 400, "not compressed"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_good_is_named(body: bytes, status: int, said: str, http: httpx.Client) -> None:
    """Whatever Python's JSON reader lets pass."""
    answer = http.post("/generate", content=body, headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "json"},
        {**JSON, "Content-Encoding": "gzip"},
    ],
    ids=str,
)
def test_a_body_that_is_not_declared_as_json_is_415(declared: dict[str, str], http: httpx.Client) -> None:
    """The commonest mistake with curl; the answer says what is accepted."""
    answer = http.post("/generate", content=b"{}", headers=declared)
    assert (answer.status_code, answer.json()["type"]) == (415, "about:blank")
    assert "send Content-Type: application/json" in answer.json()["detail"]
    assert (answer.headers["accept"], answer.headers["accept-encoding"]) == ("application/json", "identity")


@pytest.mark.parametrize("declared", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"])
def test_every_name_of_json_is_accepted(declared: str, http: httpx.Client) -> None:
    """With parameters, in any letter case, and as a suffix."""
    assert http.post("/generate", content=b"{}", headers={"Content-Type": declared}).status_code == 202


def test_an_empty_model_is_not_the_default_model(http: httpx.Client) -> None:
    """A program whose variable is empty learns it."""
    answer = http.post("/generate", json={"model": ""})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "model")
    assert http.post("/generate", json={"model": None}).status_code == 202


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://localhost/jobs", "localhost", 200),
        ("HTTPS://127.0.0.1:8000/jobs?limit=1", "localhost", 200),
        ("http://localhost", "localhost", 200),
        ("http://localhost/jobs/none", "localhost", 404),
        ("http://evil.example/jobs", "localhost", 421),
        ("http://localhost/jobs", "evil.example", 200),
    ],
)
def test_a_target_in_absolute_form_is_its_path(target: str, host: str, status: int, url: str) -> None:
    """As clients send it through a proxy; its host counts, not that of the Host header (RFC 9112, section 3.2.2)."""
    parts = httpx.URL(url)
    with socket.create_connection((parts.host, parts.port or 80), 10) as caller:
        caller.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert caller.recv(12).decode() == f"HTTP/1.1 {status}"


def test_a_long_body_that_is_not_read_ends_nothing(http: httpx.Client) -> None:
    """413 where its length is announced; else the stream goes on and drops it."""
    where = http.post("/generate", json={}).headers["location"]
    assert http.request("GET", where, content=b" " * (2 << 20)).status_code == 413
    chunks = (b" " * (1 << 16) for _ in range(32))
    with http.stream("GET", f"{where}/events", content=chunks) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_lines()) == "event: status"


@pytest.mark.parametrize(
    "body",
    [
        {"controls": [1] * 100_000},
        {f"x{number}": 1 for number in range(50_000)},
        {"label": "A" * 500_000},
        {"controls": {"A" * 500_000: "A"}},
        {"model": "A" * 500_000},
    ],
    ids=["bad items", "unknown fields", "label", "control", "model"],
)
def test_a_refusal_is_short_however_much_is_wrong(body: object, http: httpx.Client) -> None:
    """It names some of the faults, and repeats none at length."""
    answer = http.post("/generate", json=body)
    assert answer.status_code == 422
    assert len(answer.content) < SHORT_BYTES


def test_a_body_without_a_length_is_bounded_too(url: str) -> None:
    """Chunk after chunk: 413 once it is too long."""
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    host, port = httpx.URL(url).host, httpx.URL(url).port
    with socket.create_connection((host, port or 80), 10) as caller:
        caller.sendall(b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
        caller.sendall(b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 33)
        assert caller.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("way", ["{}", "*", '"x", {}', '{}, W/"y"', '"x,y" ,{}'])
def test_what_is_known_is_304_however_it_is_named(way: str, http: httpx.Client, store: redis.Redis) -> None:
    """In a list, by the star, strongly or weakly: as caches and proxies rewrite it."""
    where = a_finished_job(http, store)
    for path in (where, f"{where}/images/0"):
        etag = http.get(path).headers["etag"]
        for told in (etag, etag.removeprefix("W/")):
            answer = http.get(path, headers={"If-None-Match": way.format(told)})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)


def test_another_etag_is_not_known() -> None:
    """Nor a part of one, nor none."""
    for header in (None, "", '"a', 'W/"ab"', "a", '"A"'):
        assert not known(header, 'W/"a"')


def test_head_is_get_without_its_body(http: httpx.Client, store: redis.Redis) -> None:
    """The same status and headers; not for a stream, and not where there is no GET."""
    where = a_finished_job(http, store)
    for path in ("/", "/docs", "/healthz", "/readyz", "/models", "/jobs", where, f"{where}/images/0", "/jobs/none"):
        get, head = http.get(path), http.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert headers_of(head) == headers_of(get)
    for path in ("/generate", f"{where}/events"):
        refused = http.head(path)
        assert (refused.status_code, "HEAD" in refused.headers["allow"]) == (405, False)
    assert http.put(where).headers["allow"] == "DELETE, GET, HEAD"


def headers_of(answer: httpx.Response) -> dict[str, str]:
    """Those that are the same for the same answer."""
    return {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "date"}}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", ImageFormat.PNG),
        ("text/html;;, */*", ImageFormat.PNG),
        ("image/webp;q=0, image/jpeg", ImageFormat.JPEG),
        ("image/jpeg;q=0.3, image/webp; q=0.9", ImageFormat.WEBP),
        ("image/webp, image/png", ImageFormat.WEBP),
        ("image/webp;q=x, image/png;q=0.1", ImageFormat.PNG),
        ("image/avif,image/webp,image/apng,*/*;q=0.8", ImageFormat.WEBP),
    ],
)
def test_the_format_is_the_one_wanted_most(accept: str, wanted: ImageFormat) -> None:
    """By its weight; one of weight 0 is not wanted."""
    assert preferred(accept) is wanted


def test_a_transparent_start_lies_on_white(http: httpx.Client) -> None:
    """Whatever colour its transparent pixels hide."""
    out = io.BytesIO()
    Image.new("RGBA", (GEOMETRY.size, GEOMETRY.size), (0, 0, 0, 0)).save(out, "PNG")
    start = {"stage": "depth", "image": base64.b64encode(out.getvalue()).decode()}
    where = http.post("/generate", json={"start": start}).headers["location"]
    picture = Image.open(io.BytesIO(http.get(f"{where}/images/0").content)).convert("RGB")
    assert min(low for low, _ in picture.getextrema()) > 220  # type: ignore[misc] # an RGB image has three pairs


def test_an_etag_from_another_job_is_nothing(http: httpx.Client, store: redis.Redis) -> None:
    """Two jobs' pictures never share one."""
    one, other = (a_finished_job(http, store) for _ in range(2))
    etag = http.get(f"{one}/images/0").headers["etag"]
    assert http.get(f"{other}/images/0", headers={"If-None-Match": etag}).status_code == 200


def test_duplicate_names_count_once(http: httpx.Client) -> None:
    """The last one, as JSON readers have it; idempotency knows the body by what was read."""
    key = {"Idempotency-Key": token_hex(8), **JSON}
    first = http.post("/generate", content=b'{"seed": 1, "seed": 2}', headers=key).json()
    again = http.post("/generate", content=json.dumps({"seed": 2}), headers=key)
    assert (first["seed"], again.json()["id"]) == (2, first["id"])
    assert again.headers["idempotent-replayed"] == "true"
