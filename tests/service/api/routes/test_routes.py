"""The HTTP contract, against the real app and a real Redis; the test itself plays the worker."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from PIL import Image

from service.app import MAX_BODY_BYTES
from service.contract.redis_keys import Keys
from service.contract.transitions import Claim, Transitions
from service.settings import ServiceSettings
from tests.harness.drawing import GEOMETRY, POISONED, a_picture, acquire, an_entry
from tests.harness.later import later
from tests.harness.serving import serving

STEPS = len(GEOMETRY.steps)


@pytest.fixture(scope="module")
def api(redis_url: str, models: Path) -> Iterator[str]:
    """The app for the model `toy`, with a queue of three, on a port of its own."""
    with serving(ServiceSettings(redis_url=redis_url, models=models, model="toy", queue_bound=3)) as url:
        yield url


@pytest.fixture
def client(store: redis.Redis, api: str) -> Iterator[httpx.Client]:
    """A caller, and no jobs."""
    assert store.dbsize() == 0
    with httpx.Client(base_url=api) as http:
        yield http


class Hand:
    """A worker for one job, by hand."""

    def __init__(self, store: redis.Redis, job: str) -> None:
        self.claim = Claim(keys=Keys(id=job, model="toy"), token="hand")
        self.transitions = Transitions(store)
        self.transitions(acquire(self.claim))

    def draw(self, start: int, stop: int, image: int = 0) -> None:
        """Slices of `a_picture(image)`."""
        for step in range(start, stop):
            self.transitions(self.claim.append(an_entry(step, image=image, seed=image)))

    def finish(self) -> None:
        """The end."""
        self.transitions(self.claim.finish())


def submit(client: httpx.Client, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A job that was accepted."""
    response = client.post("/generate", json={"label": "A", "seed": 7, **fields})
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job


def check_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The response is a complete problem of that status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert {"type", "title", "detail", "instance"} <= set(body)
    return body


def events(response: httpx.Response) -> list[tuple[str, str, dict[str, Any]]]:
    """(event, id, data) of a finished stream."""
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines()) for block in response.text.split("\n\n") if block
    ]
    return [(b["event"], b["id"], json.loads(b["data"])) for b in blocks if "event" in b]


def pixels(response: httpx.Response) -> np.ndarray[Any, Any]:
    """The decoded picture."""
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


def png(size: int) -> str:
    """Base64 of `a_picture()`, or its top left corner."""
    out = io.BytesIO()
    Image.fromarray(a_picture().image()[:size, :size]).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


BAD_BODIES: dict[str, tuple[str, str]] = {
    "unknown label": ('{"label": "Q"}', "controls.label"),
    "unknown control": ('{"controls": {"mood": "sad"}}', "controls.mood"),
    "two labels": ('{"label": "A", "controls": {"label": "B"}}', "label"),
    "too few controls": ('{"num_images": 2, "controls": [{}]}', "controls"),
    "negative seed": ('{"seed": -1}', "seed"),
    "seed above 2^53 - 17": (f'{{"seed": {2**53 - 16}}}', "seed"),
    "fractional seed": ('{"seed": 1.5}', "seed"),
    "17 images": ('{"num_images": 17}', "num_images"),
    "no image": ('{"num_images": 0}', "num_images"),
    "hot": ('{"temperature": 2.1}', "temperature"),
    "broken JSON": ('{"label": ', "body"),
    "a list": ("[]", "body"),
    "unknown field": ('{"colour": "red"}', "colour"),
    "webhook without a secret": ('{"webhook": {"url": "https://example.com", "events": ["failed"]}}', "webhook"),
    "webhook without events": ('{"webhook": {"url": "https://example.com", "events": []}}', "webhook.events"),
    "webhook of another event": ('{"webhook": {"url": "https://example.com", "events": ["x"]}}', "webhook.events.0"),
    "unknown model": ('{"model": "other"}', "model"),
    "long metadata": (json.dumps({"metadata": {"a": "b" * 5000}}), "metadata"),
    "no picture": ('{"start": {"stage": "depth", "image": "AAAA"}}', "start.image"),
    "picture of another size": (json.dumps({"start": {"stage": "size", "image": png(8)}}), "start.image"),
    "start at base": ('{"start": {"stage": "base", "image": ""}}', "start.stage"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_bad_body_is_a_problem_that_names_the_field(case: str, client: httpx.Client) -> None:
    """Nothing is accepted, and the caller learns which field to mend."""
    body, field = BAD_BODIES[case]
    response = client.post("/generate", content=body, headers={"content-type": "application/json"})
    problem = check_problem(response, 422)
    assert field in {error["field"] for error in problem["errors"]}
    assert client.get("/jobs").json()["jobs"] == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_body_is_413(chunked: bool, client: httpx.Client) -> None:
    """Whether or not its length is announced."""
    body = b'"' + b"a" * (2 * MAX_BODY_BYTES) + b'"'
    content = (part for part in (body[:99], body[99:])) if chunked else body
    check_problem(client.post("/generate", content=content, headers={"content-type": "application/json"}), 413)


@pytest.mark.parametrize(
    "path", ["/jobs/none", "/jobs/none/events", "/jobs/none/images/0", "/nowhere", "/models/x/sheet.png"]
)
def test_what_is_not_there_is_a_404_problem(path: str, client: httpx.Client) -> None:
    """Unknown jobs and unknown paths alike."""
    check_problem(client.get(path), 404)


@pytest.mark.parametrize(
    "path",
    ["/jobs?limit=0", "/jobs?cursor=x", "/jobs?status=lost", "/jobs/0?wait=61", "/jobs/0/events?last_event_id=x"],
)
def test_a_bad_parameter_is_a_422_problem(path: str, client: httpx.Client) -> None:
    """Parameters are checked like fields."""
    assert check_problem(client.get(path), 422)["errors"]


def test_a_wrong_method_is_a_405_problem(client: httpx.Client) -> None:
    """The framework's own refusals look the same."""
    check_problem(client.delete("/models"), 405)


def test_a_405_lists_all_methods_of_the_path(client: httpx.Client) -> None:
    """Of every route there, not of the first one alone."""
    assert client.put("/jobs/x").headers["allow"] == "DELETE, GET, HEAD"
    assert client.put("/generate").headers["allow"] == "POST"


def test_a_body_that_is_no_text_is_a_400_problem(client: httpx.Client) -> None:
    """It says what was expected."""
    response = client.post("/generate", content=b"\xff", headers={"Content-Type": "application/json"})
    assert "UTF-8" in check_problem(response, 400)["detail"]


@pytest.mark.parametrize("number", ["\u0661", "99999999999999999999"])
def test_an_id_that_redis_could_not_read_is_a_422_problem(number: str, client: httpx.Client) -> None:
    """Digits of other scripts, and more of them than 64 bits hold, in an event's id and in a cursor."""
    job = submit(client)["id"]
    check_problem(client.get(f"/jobs/{job}/events", params={"last_event_id": f"{number}-0"}), 422)
    check_problem(client.get("/jobs", params={"cursor": f"{number}:a"}), 422)


def test_a_job_is_accepted_and_found(client: httpx.Client) -> None:
    """202, a Location, and the same job there."""
    response = client.post("/generate", json={"num_images": 2, "controls": [{"hue": "red"}, {}], "metadata": {"a": 1}})
    job = client.get(response.headers["location"]).json()
    assert job == response.json()
    assert (job["status"], job["queue_position"], job["metadata"]) == ("queued", 1, {"a": 1})
    assert job["controls"] == [{"hue": "red"}, {}]
    assert 0 <= job["seed"] <= 2**53 - 17
    assert [image["seed"] for image in job["images"]] == [job["seed"], job["seed"] + 1]
    assert [image["url"] for image in job["images"]] == [None, None]


def test_a_full_queue_is_503_with_retry_after(client: httpx.Client) -> None:
    """What was accepted before stays."""
    for _ in range(3):
        submit(client)
    response = client.post("/generate", json={})
    check_problem(response, 503)
    assert response.headers["retry-after"]
    assert len(client.get("/jobs").json()["jobs"]) == 3


def test_redis_away_is_503(models: Path) -> None:
    """A problem, not a traceback."""
    settings = ServiceSettings(redis_url="redis://127.0.0.1:1/0", models=models, model="toy", reaper_seconds=60)
    with serving(settings) as url:
        for response in (httpx.post(f"{url}/generate", json={}, timeout=30), httpx.get(f"{url}/readyz", timeout=30)):
            check_problem(response, 503)
            assert response.headers["retry-after"]


def test_an_idempotency_key_gives_the_same_job(client: httpx.Client) -> None:
    """Same body, same job; another body is refused."""
    key = {"Idempotency-Key": "k"}
    first = client.post("/generate", json={"seed": 1}, headers=key)
    again = client.post("/generate", json={"seed": 1, "num_images": 1}, headers=key)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    check_problem(client.post("/generate", json={"seed": 2}, headers=key), 422)


def test_progress_and_pictures_follow_the_slices(client: httpx.Client, store: redis.Redis) -> None:
    """From the first slice there is a picture; the last makes it final, exact and cacheable."""
    job = submit(client, num_images=2)
    image = f"/jobs/{job['id']}/images/0"
    assert check_problem(client.get(image), 404)["type"].endswith("not-started")
    hand = Hand(store, job["id"])
    hand.draw(0, 3)
    now = client.get(f"/jobs/{job['id']}").json()
    assert now["progress"] == {"stage": "base", "slices_done": 3, "slices_total": 2 * STEPS, "fraction": 0.1875}
    partial = client.get(now["images"][0]["url"])
    assert partial.headers["cache-control"] == "no-store"
    assert pixels(partial).shape == (8, 8, 3)
    hand.draw(3, STEPS)
    hand.draw(0, STEPS, image=1)
    hand.finish()
    now = client.get(f"/jobs/{job['id']}").json()
    assert (now["status"], now["progress"]["fraction"], now["images"][1]["final"]) == ("succeeded", 1.0, True)
    final = client.get(now["images"][1]["url"])
    np.testing.assert_array_equal(pixels(final), a_picture(1).image())
    assert "immutable" in final.headers["cache-control"]
    assert client.get(now["images"][1]["url"], headers={"If-None-Match": final.headers["etag"]}).status_code == 304


def test_a_picture_comes_in_any_format_size_and_age(client: httpx.Client, store: redis.Redis) -> None:
    """?format, Accept, ?scale and ?slices; PNG says what made it."""
    job = submit(client)
    Hand(store, job["id"]).draw(0, STEPS)
    image = f"/jobs/{job['id']}/images/0"
    assert client.get(image, params={"format": "jpeg"}).headers["content-type"] == "image/jpeg"
    webp = client.get(image, headers={"Accept": "text/html, image/webp;q=0.8, */*"})
    assert webp.headers["content-type"] == "image/webp"
    np.testing.assert_array_equal(pixels(webp), a_picture().image())
    np.testing.assert_array_equal(pixels(client.get(image, params={"scale": 2}))[::2, ::2], a_picture().image())
    text = Image.open(io.BytesIO(client.get(image).content)).info
    assert (text["Seed"], text["Controls"], text["Model"]) == ("7", "label=A", "toy")
    early = pixels(client.get(image, params={"slices": 1}))
    np.testing.assert_array_equal(early[::2, ::2], early[1::2, 1::2])
    check_problem(client.get(image, params={"slices": STEPS + 1}), 422)
    check_problem(client.get(f"/jobs/{job['id']}/images/1"), 404)


def test_a_poll_is_304_until_something_happens(client: httpx.Client, store: redis.Redis) -> None:
    """The weak ETag covers status and stream."""
    job = f"/jobs/{submit(client)['id']}"
    etag = client.get(job).headers["etag"]
    assert etag.startswith("W/")
    assert client.get(job, headers={"If-None-Match": etag}).status_code == 304
    Hand(store, job.removeprefix("/jobs/")).draw(0, 1)
    assert client.get(job, headers={"If-None-Match": etag}).status_code == 200


def test_a_long_poll_answers_when_something_happens(client: httpx.Client, store: redis.Redis) -> None:
    """Not before, and not at the end of its time."""
    job = submit(client)["id"]
    with later(0.3, lambda: Hand(store, job).draw(0, 1)):
        began = time.monotonic()
        assert client.get(f"/jobs/{job}", params={"wait": 20}).json()["status"] == "running"
        assert 0.2 < time.monotonic() - began < 5


def test_prefer_wait_answers_with_the_finished_job(client: httpx.Client, store: redis.Redis) -> None:
    """200 if it ended in time, else 202."""
    assert client.post("/generate", json={}, headers={"Prefer": "wait=0"}).status_code == 202

    def work() -> None:
        newest = httpx.get(f"{client.base_url}/jobs").json()["jobs"][0]
        Hand(store, newest["id"]).finish()

    with later(0.5, work):
        response = client.post("/generate", json={}, headers={"Prefer": "respond-async, wait=20"})
    assert (response.status_code, response.json()["status"]) == (200, "succeeded")


def test_the_stream_tells_everything_once_and_ends(client: httpx.Client, store: redis.Redis) -> None:
    """Status, slices with their picture, one final event; with its id nothing follows."""
    job = submit(client)["id"]
    hand = Hand(store, job)
    hand.draw(0, 2)
    hand.finish()
    sent = events(client.get(f"/jobs/{job}/events", params={"inline": 1}))
    assert [event for event, _, _ in sent] == ["status", "status", "slice", "slice", "succeeded"]
    assert sent[2][2] | {"image_b64": ""} == {
        "index": 0,
        "stage": "base",
        "slices_done": 1,
        "slices_total": STEPS,
        "url": f"/jobs/{job}/images/0?slices=1",
        "image_b64": "",
    }
    inline = np.asarray(Image.open(io.BytesIO(base64.b64decode(sent[3][2]["image_b64"]))))
    np.testing.assert_array_equal(inline, pixels(client.get(sent[3][2]["url"])))
    assert client.get(f"/jobs/{job}/events", headers={"Last-Event-ID": sent[-1][1]}).status_code == 204


def test_a_stream_past_its_end_is_204(client: httpx.Client, store: redis.Redis) -> None:
    """An id that is greater than the last one of an ended job does not wait for what never comes."""
    job = submit(client)["id"]
    client.delete(f"/jobs/{job}")
    assert store.xlen(Keys(id=job, model="toy").stream) == 2
    assert client.get(f"/jobs/{job}/events", params={"last_event_id": "9999999999999-0"}).status_code == 204


@pytest.mark.parametrize("inline", [0, 1])
def test_a_stream_resumes_after_any_event(inline: int, client: httpx.Client, store: redis.Redis) -> None:
    """Nothing lost, nothing twice, from every id, by header or query."""
    job = submit(client)["id"]
    hand = Hand(store, job)
    hand.draw(0, 3)
    hand.finish()
    path = f"/jobs/{job}/events"
    sent = events(client.get(path, params={"inline": inline}))
    for seen, (_, last, _) in enumerate(sent[:-1], start=1):
        assert events(client.get(path, params={"inline": inline}, headers={"Last-Event-ID": last})) == sent[seen:]
        for name in ("last_event_id", "lastEventId"):
            assert events(client.get(path, params={"inline": inline, name: last})) == sent[seen:]
    assert (
        events(client.get(path, params={"inline": inline, "last_event_id": ""}, headers={"Last-Event-ID": ""})) == sent
    )


def test_a_stream_is_live(client: httpx.Client, store: redis.Redis) -> None:
    """Events that come while it is open are sent."""
    job = submit(client)["id"]

    def work() -> None:
        hand = Hand(store, job)
        hand.draw(0, 2)
        hand.finish()

    with later(0.3, work):
        assert [event for event, _, _ in events(client.get(f"/jobs/{job}/events"))][-1] == "succeeded"


def test_a_queued_job_is_canceled_with_200(client: httpx.Client) -> None:
    """At once; and again without harm."""
    job = f"/jobs/{submit(client)['id']}"
    for _ in range(2):
        response = client.delete(job)
        assert (response.status_code, response.json()["status"]) == (200, "canceled")


def test_a_running_job_is_canceled_with_202(client: httpx.Client, store: redis.Redis) -> None:
    """Its worker stops it, and the partial picture stays."""
    job = submit(client)["id"]
    hand = Hand(store, job)
    hand.draw(0, 1)
    assert client.delete(f"/jobs/{job}").status_code == 202
    hand.transitions(hand.claim.cancel())
    assert client.get(f"/jobs/{job}").json()["status"] == "canceled"
    assert client.get(f"/jobs/{job}/images/0").status_code == 200


def test_a_failed_job_says_why(client: httpx.Client, store: redis.Redis) -> None:
    """In its body, and in its last event."""
    job = submit(client)["id"]
    hand = Hand(store, job)
    hand.transitions(hand.claim.fail(POISONED))
    error = client.get(f"/jobs/{job}").json()["error"]
    assert (error["title"], error["detail"]) == ("Poisoned", "as a test")
    sent = events(client.get(f"/jobs/{job}/events"))[-1][2]
    assert sent == {name: value for name, value in error.items() if value is not None}


def test_jobs_are_listed_newest_first_in_pages(client: httpx.Client) -> None:
    """The cursor leads through all of them, each once; a status filters."""
    ids = [submit(client)["id"] for _ in range(3)]
    client.delete(f"/jobs/{ids[1]}")
    first = client.get("/jobs", params={"limit": 2}).json()
    rest = client.get("/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    listed = [job["id"] for job in first["jobs"] + rest["jobs"]]
    assert sorted(listed) == sorted(ids)
    assert rest["next_cursor"] is None
    created = [job["created_at"] for job in first["jobs"] + rest["jobs"]]
    assert created == sorted(created, reverse=True)
    assert [job["id"] for job in client.get("/jobs", params={"status": "canceled"}).json()["jobs"]] == [ids[1]]


@pytest.mark.parametrize(("stage", "size", "given"), [("size", 4, 1), ("depth", 8, 4)])
def test_a_job_may_start_with_a_picture(stage: str, size: int, given: int, client: httpx.Client) -> None:
    """Its slices are there at once, and only the rest is drawn."""
    job = submit(client, start={"stage": stage, "image": png(size)})
    assert job["progress"]["slices_done"] == given
    drawn = pixels(client.get(job["images"][0]["url"]))
    known = drawn if stage == "depth" else drawn[::2, ::2]
    np.testing.assert_array_equal(known >> 5, a_picture().image()[:size, :size] >> 5)


def test_models_are_listed_with_their_controls(client: httpx.Client) -> None:
    """The default one is marked."""
    models = {model["name"]: model for model in client.get("/models").json()["models"]}
    assert {name for name, model in models.items() if model["default"]} == {"toy"}
    assert models["toy"]["controls"]["hue"] == ["red", "blue"]
    assert (models["toy"]["width"], models["toy"]["slices"]) == (8, STEPS)


def test_readyz_counts_live_workers(client: httpx.Client) -> None:
    """Ready without workers too: jobs queue."""
    assert client.get("/readyz").json()["workers"] == {"slow": 0, "toy": 0}
    assert client.get("/healthz").json() == {"status": "ok"}


def test_a_request_id_is_kept_if_it_is_sane(client: httpx.Client) -> None:
    """Else a new one is made."""
    assert client.get("/healthz", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert client.get("/healthz", headers={"X-Request-ID": "a b"}).headers["x-request-id"] != "a b"
