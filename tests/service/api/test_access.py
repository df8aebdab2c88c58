"""Keys, owners, signed URLs, limits and origins, against the real app and a real Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from fastapi import FastAPI
from pydantic import SecretStr

from service.api.access import Access
from service.api_keys import KeyHash, sha256_of
from service.app import create_app
from service.contract.redis_keys import Keys
from service.contract.transitions import Claim, Transitions
from service.settings import ServiceSettings
from tests.harness.drawing import acquire, an_entry
from tests.harness.serving import serving

KEYS = (
    KeyHash(name="studio", sha256=sha256_of("studio key")),
    KeyHash(name="ci", sha256=sha256_of("ci key")),
    KeyHash(name="studio", sha256=sha256_of("next studio key")),
)
ORIGIN = "https://studio.example"
PER_MINUTE, CONCURRENT = 6, 4
GUARDED = [
    ("POST", "/generate"),
    ("POST", "/score"),
    ("GET", "/jobs"),
    ("GET", "/jobs/{}"),
    ("DELETE", "/jobs/{}"),
    ("GET", "/jobs/{}/images/0"),
    ("GET", "/jobs/{}/events"),
]
SIGNED = ["/jobs/{}", "/jobs/{}/images/0", "/jobs/{}/events"]


@pytest.fixture(scope="module")
def api(redis_url: str, models: Path) -> Iterator[str]:
    """The app with keys, limits and an origin, on a port of its own."""
    settings = ServiceSettings(
        redis_url=redis_url,
        models=models,
        model="toy",
        keys=KEYS,
        rate_per_minute=PER_MINUTE,
        concurrency=CONCURRENT,
        cors_origins=(ORIGIN,),
    )
    with serving(settings) as url:
        yield url


@pytest.fixture
def anyone(store: redis.Redis, api: str) -> Iterator[httpx.Client]:
    """A caller without a key, and no jobs."""
    assert store.dbsize() == 0
    with httpx.Client(base_url=api) as http:
        yield http


@pytest.fixture
def studio(anyone: httpx.Client) -> Iterator[httpx.Client]:
    """One key's holder."""
    with httpx.Client(base_url=anyone.base_url, headers=bearer("studio key")) as http:
        yield http


@pytest.fixture
def ci(anyone: httpx.Client) -> Iterator[httpx.Client]:
    """Another's."""
    with httpx.Client(base_url=anyone.base_url, headers=bearer("ci key")) as http:
        yield http


def bearer(key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {key}"}


def submit(client: httpx.Client, **headers: str) -> str:
    """The id of a job that was accepted."""
    response = client.post("/generate", json={}, headers=headers)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def draw(store: redis.Redis, job: str, *, finish: bool = False) -> None:
    """Its first slice, and its end."""
    transitions, claim = Transitions(store), Claim(keys=Keys(id=job, model="toy"), token="hand")
    for call in (acquire(claim), claim.append(an_entry(0)), *([claim.finish()] if finish else [])):
        transitions(call)


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem, whose status it checks."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    return body


def ids(client: httpx.Client, **params: str | int) -> list[str]:
    """The jobs listed."""
    return [job["id"] for job in client.get("/jobs", params=params).json()["jobs"]]


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_all_about_jobs_needs_a_key(method: str, path: str, studio: httpx.Client, anyone: httpx.Client) -> None:
    """None is 401 and says how, an unknown one 403, before anything else is looked at."""
    path = path.format(submit(studio))
    for headers in ({}, {"Authorization": "Basic c3R1ZGlvIGtleQ=="}, {"Authorization": "Bearer"}):
        missing = anyone.request(method, path, headers=headers)
        assert problem(missing, 401)["type"] == "urn:spn:key-missing"
        assert missing.headers["www-authenticate"] == "Bearer"
    for key in ("studio", "studio key2", "\u00e9", sha256_of("studio key")):
        header = httpx.Headers({"Authorization": f"Bearer {key}"}, encoding="latin-1")
        assert problem(anyone.request(method, path, headers=header), 403)["type"] == "urn:spn:key-unknown"
    assert problem(anyone.post("/generate", json={"seed": -1}), 401)


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/", "/page/client.js", "/docs", "/openapi.json", "/models", "/models/x/sheet.png"]
)
def test_what_is_not_about_jobs_is_open(path: str, anyone: httpx.Client) -> None:
    """Probes, the page and the models tell nothing of anybody."""
    assert anyone.get(path).status_code == (404 if "sheet" in path else 200)


def test_two_keys_of_one_name_are_one_owner(studio: httpx.Client, anyone: httpx.Client) -> None:
    """A key can be replaced while the old one still works."""
    job = submit(studio)
    assert anyone.get(f"/jobs/{job}", headers=bearer("next studio key")).status_code == 200


@pytest.mark.parametrize(("method", "path"), [each for each in GUARDED if "{}" in each[1]])
def test_anothers_job_is_as_unknown_as_none(
    method: str, path: str, studio: httpx.Client, ci: httpx.Client, store: redis.Redis
) -> None:
    """Nothing tells whether it exists, and nothing happens to it."""
    job, none = submit(studio), "0" * 24
    draw(store, job)
    anothers = problem(ci.request(method, path.format(job)), 404)
    assert json.dumps(anothers).replace(job, none) == json.dumps(problem(ci.request(method, path.format(none)), 404))
    assert studio.get(f"/jobs/{job}").json()["status"] == "running"


def described(api: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path of the description."""
    for path, operations in api.openapi()["paths"].items():
        for method in operations:
            yield method.upper(), path


def test_no_endpoint_reveals_anothers_job(
    studio: httpx.Client, ci: httpx.Client, anyone: httpx.Client, store: redis.Redis, models: Path
) -> None:
    """Whatever the description has: by another's key or none, neither the job's id nor anything of it is answered."""
    job = submit(studio, **{"Idempotency-Key": "ours"})
    draw(store, job, finish=True)
    walked = list(described(create_app(ServiceSettings(models=models, model="toy"))))
    assert set(GUARDED) <= {(method, path.replace("{job}", "{}").replace("{index}", "0")) for method, path in walked}
    for method, path in walked:
        here = path.format(job=job, index=0, name="toy", model="toy")
        for client in (ci, anyone):
            answer = client.request(method, here, headers={"Idempotency-Key": "ours"}, json={})
            told = answer.text.replace(here, "")
            if "{job}" in path:
                assert answer.status_code in ({404} if client is ci else {401}), here
                told = told.replace(f"There is no job '{job}'", "")
            assert job not in told, here
            assert job not in str(answer.headers), here


def test_a_list_has_own_jobs_only(studio: httpx.Client, ci: httpx.Client) -> None:
    """Also page by page and by status."""
    own, others = [submit(studio) for _ in range(3)], [submit(ci) for _ in range(2)]
    assert sorted(ids(ci)) == sorted(others)
    first = studio.get("/jobs", params={"limit": 2}).json()
    rest = studio.get("/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert sorted(job["id"] for job in first["jobs"] + rest["jobs"]) == sorted(own)
    ci.delete(f"/jobs/{others[0]}")
    assert ids(ci, status="canceled") == others[:1]
    assert ids(studio, status="canceled") == []


def test_an_idempotency_key_is_its_owners(studio: httpx.Client, ci: httpx.Client) -> None:
    """Two callers who chose the same one do not meet."""
    once = {"Idempotency-Key": "k"}
    job = submit(studio, **once)
    assert submit(studio, **once) == job
    assert submit(ci, **once) != job


def test_urls_of_pictures_and_events_need_no_key(
    studio: httpx.Client, anyone: httpx.Client, store: redis.Redis
) -> None:
    """As the job and its events give them, the same at every poll, also for a browser that sends no headers."""
    job = submit(studio)
    draw(store, job, finish=True)
    body = studio.get(f"/jobs/{job}").json()
    picture, events = body["images"][0]["url"], body["urls"]["events"]
    assert anyone.get(picture).content == studio.get(f"/jobs/{job}/images/0").content
    told = anyone.get(events)
    assert told.status_code == 200
    (of_slice,) = [json.loads(line[6:])["url"] for line in told.text.splitlines() if "slices=1" in line]
    assert of_slice == picture
    again = studio.get("/jobs").json()["jobs"][0]
    assert (again["images"][0]["url"], again["urls"]["events"]) == (picture, events)


@pytest.mark.parametrize("path", SIGNED)
def test_a_signature_opens_its_own_job_alone(
    path: str, studio: httpx.Client, anyone: httpx.Client, store: redis.Redis
) -> None:
    """Another job's, a changed one, none or nonsense is refused, whether or not there is such a job."""
    job, other = submit(studio), submit(studio)
    for each in (job, other):
        draw(store, each, finish=True)
    sig = signature_of(studio, job)
    assert anyone.get(path.format(job), params={"sig": sig}).status_code == 200
    for wrong in (signature_of(studio, other), sig[:-1], f"{sig}A", sig.swapcase(), "", "\u00e9"):
        assert problem(anyone.get(path.format(job), params={"sig": wrong}), 403)["type"] == "urn:spn:signature-invalid"
    assert problem(anyone.get(path.format("0" * 24), params={"sig": sig}), 403)


def test_a_signature_reads_the_job_without_its_metadata(studio: httpx.Client, anyone: httpx.Client) -> None:
    """The signed URL of the job is enough to follow it; with a key and a signature the key counts."""
    own = studio.post("/generate", json={"metadata": {"order": 17}}).json()
    seen = anyone.get(own["urls"]["self"])
    assert seen.json() == own | {"metadata": {}}
    assert studio.get(own["urls"]["self"]).json() == own
    problem(anyone.delete(own["urls"]["cancel"]), 401)


def test_a_signature_opens_nothing_but_the_job_its_images_and_events(
    studio: httpx.Client, anyone: httpx.Client
) -> None:
    """Who was sent an image's URL can neither stop the job nor see others."""
    job = submit(studio)
    sig = signature_of(studio, job)
    for method, path in GUARDED:
        if method != "GET" or path not in SIGNED:
            answer = anyone.request(method, path.format(job), params={"sig": sig})
            assert answer.json()["detail"].startswith(
                ("This server requires an API key", "sig: unknown query parameter")
            )
            assert problem(anyone.request(method, path.format(job)), 401)


def test_a_signature_ends_with_its_job(studio: httpx.Client, anyone: httpx.Client, store: redis.Redis) -> None:
    """It opens what is kept, and no more."""
    job = submit(studio)
    sig = signature_of(studio, job)
    store.delete(Keys(id=job, model="toy").record)
    problem(anyone.get(f"/jobs/{job}/events", params={"sig": sig}), 404)


def signature_of(client: httpx.Client, job: str) -> str:
    """The `sig` of a job's URLs."""
    return str(httpx.URL(client.get(f"/jobs/{job}").json()["urls"]["events"]).params["sig"])


def test_processes_with_the_same_settings_sign_alike() -> None:
    """By the secret, or else by the keys in whatever order; another secret signs otherwise."""
    plain, turned = Access.of(KEYS, None), Access.of(KEYS[::-1], None)
    assert plain.signature("a") == turned.signature("a") != Access.of(KEYS[:1], None).signature("a")
    secret = Access.of(KEYS, "a secret of ours")
    assert secret.signature("a") == Access.of(KEYS[:1], "a secret of ours").signature("a") != plain.signature("a")
    assert plain.signature("a") != plain.signature("b")


def test_a_secret_is_not_shown() -> None:
    """Settings may be logged."""
    settings = ServiceSettings(secret=SecretStr("a secret of ours"), keys=KEYS)
    assert "a secret of ours" not in repr(settings)
    assert KEYS[0].sha256 not in repr(settings)


def test_who_submits_too_fast_is_429(studio: httpx.Client, ci: httpx.Client) -> None:
    """With the seconds until the next may come; a replay passes, and others are not concerned."""
    for key in range(PER_MINUTE):
        studio.delete(f"/jobs/{submit(studio, **{'Idempotency-Key': str(key)})}")
    refused = studio.post("/generate", json={})
    assert problem(refused, 429)["type"] == "urn:spn:rate-limited"
    assert 50 < int(refused.headers["retry-after"]) <= 60
    assert submit(studio, **{"Idempotency-Key": "0"})
    assert submit(ci)


def test_who_has_too_many_jobs_is_429(studio: httpx.Client) -> None:
    """Until one of them ends."""
    jobs = [submit(studio) for _ in range(CONCURRENT)]
    refused = studio.post("/generate", json={})
    assert problem(refused, 429)["type"] == "urn:spn:too-many-jobs"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    studio.delete(f"/jobs/{jobs[0]}")
    submit(studio)


def test_a_page_of_a_listed_origin_may_use_the_api(anyone: httpx.Client) -> None:
    """It may send what a client sends and read what a client reads, refusals too."""
    asked = "authorization,content-type,idempotency-key,prefer,if-none-match,last-event-id"
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": asked}
    allowed = anyone.options("/jobs/x", headers=preflight)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    refused = anyone.get("/jobs", headers={"Origin": ORIGIN})
    assert problem(refused, 401)
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    exposed = {name.strip() for name in refused.headers["access-control-expose-headers"].split(",")}
    assert exposed == {"ETag", "Idempotent-Replayed", "Location", "Retry-After", "Vector-Form", "X-Request-ID"}


def test_a_page_of_another_origin_may_not(anyone: httpx.Client) -> None:
    """Only what is listed."""
    assert "access-control-allow-origin" not in anyone.get("/models", headers={"Origin": "https://x.example"}).headers


def test_the_api_describes_its_keys_and_refusals(anyone: httpx.Client) -> None:
    """What needs a key says so, with what happens without one; what does not, does not."""
    described = anyone.get("/openapi.json").json()
    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for method, path in GUARDED:
        operation = described["paths"][path.replace("0", "{index}").replace("{}", "{job}")][method.lower()]
        assert operation["security"] == [{"key": []}]
        assert {"401", "403"} <= set(operation["responses"])
    assert "Retry-After" in described["paths"]["/generate"]["post"]["responses"]["429"]["headers"]
    assert "security" not in described["paths"]["/models"]["get"]


def test_without_keys_nothing_is_signed_or_refused(store: redis.Redis, redis_url: str, models: Path) -> None:
    """An open server's URLs stay short, and other origins stay out."""
    with (
        serving(ServiceSettings(redis_url=redis_url, models=models, model="toy")) as url,
        httpx.Client(base_url=url, headers=bearer("whatever")) as client,
    ):
        job = submit(client)
        draw(store, job)
        body = client.get(f"/jobs/{job}").json()
        assert body["images"][0]["url"] == f"/jobs/{job}/images/0?slices=1"
        assert body["urls"]["events"] == f"/jobs/{job}/events"
        answer = client.get("/jobs", headers={"Origin": ORIGIN})
        assert [each["id"] for each in answer.json()["jobs"]] == [job]
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("begun", [False, True])
def test_a_job_that_nobody_ends_fails_at_its_deadline(
    begun: bool, store: redis.Redis, redis_url: str, models: Path
) -> None:
    """Without any worker alive; what was drawn stays."""
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy", reaper_seconds=0.1, deadline_seconds=1)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        job = submit(client)
        if begun:
            transitions, claim = Transitions(store), Claim(keys=Keys(id=job, model="toy"), token="dead")
            transitions(acquire(claim, lease_seconds=0.3))
            transitions(claim.append(an_entry(0)))
        ended = time.monotonic() + 10
        while (body := client.get(f"/jobs/{job}", params={"wait": 5}).json())["status"] in {"queued", "running"}:
            assert time.monotonic() < ended
        assert client.get(f"/jobs/{job}/events").text.count("event: failed") == 1
        assert (body["status"], body["error"]["type"]) == ("failed", "urn:spn:deadline")
        assert client.get(f"/jobs/{job}/images/0").status_code == (200 if begun else 404)
