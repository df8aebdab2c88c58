"""Two cells behind their own APIs: every request may go to any of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse

from service.api_keys import KeyHash, sha256_of
from service.cells.cell_map import CELL_HEADER, CellAddress
from service.contract.redis_keys import Keys
from service.contract.transitions import Claim, Transitions
from service.local.processes import free_port
from service.settings import ServiceSettings
from tests.harness.drawing import acquire, an_entry
from tests.harness.serving import serving
from tests.harness.two_cells import Cell, two_cells

Cells = dict[str, Cell]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Cells]:
    """Two cells for all tests of this file that break none."""
    with two_cells(tmp_path_factory.mktemp("cells"), models, reaper_seconds=60) as cells:
        yield cells


@pytest.fixture
def cells(both: Cells) -> Cells:
    """Both, empty."""
    for each in both.values():
        each.store.flushall()
    return both


def submitted(cell: Cell, json: object = None, **headers: str) -> dict[str, Any]:
    """Return the job of a submit."""
    response = cell.http.post("/generate", json=json or {}, headers=headers)
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job


def has(cell: Cell, job: str) -> bool:
    """Return whether the Redis of a cell has the job."""
    return bool(cell.store.exists(Keys(id=job, model="").record))


def claimed(cell: Cell, job: str) -> tuple[Transitions, Claim]:
    """Take a job as a worker of its cell would."""
    transitions, claim = Transitions(cell.store), Claim(keys=Keys(id=job, model="toy"), token="hand")
    transitions(acquire(claim))
    return transitions, claim


@contextmanager
def full(cell: Cell) -> Iterator[None]:
    """Let a cell's queue be full: as many ids as its bound, and one of them of this owner."""
    cell.store.zadd("spn:queued:toy", {f"other-{number}": number for number in range(1000)})
    cell.store.zadd("spn:waiting:toy:", {"other-0": 1})
    yield
    cell.store.delete("spn:queued:toy", "spn:waiting:toy:")


def test_a_job_is_answered_by_its_own_cell_whichever_is_asked(cells: Cells) -> None:
    """State, image, cancel and erasure."""
    job = submitted(cells["00"])["id"]
    assert job[:2] == "00"
    assert (has(cells["00"], job), has(cells["01"], job)) == (True, False)
    transitions, claim = claimed(cells["00"], job)
    transitions(claim.append(an_entry(0)))
    here, there = (cells[name].http for name in ("00", "01"))
    assert there.get(f"/jobs/{job}").json()["progress"] == here.get(f"/jobs/{job}").json()["progress"]
    image = there.get(f"/jobs/{job}/images/0")
    assert image.content == here.get(f"/jobs/{job}/images/0").content
    assert len(image.headers.get_list("date")) == 1
    assert there.head(f"/jobs/{job}").status_code == 200
    assert there.delete(f"/jobs/{job}").status_code == 202
    assert there.delete(f"/jobs/{job}", params={"erase": 1}).status_code == 204
    assert here.get(f"/jobs/{job}").status_code == 404


def test_an_unknown_cell_is_an_unknown_job(cells: Cells) -> None:
    """Not a server to be waited for."""
    answer = cells["00"].http.get("/jobs/ff" + "0" * 24)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:spn:unknown-job")


def test_events_come_through_another_cell_as_they_happen(cells: Cells) -> None:
    """Each before the next slice is there; a reconnection goes on after the last."""
    job = submitted(cells["01"])["id"]
    transitions, claim = claimed(cells["01"], job)
    with connect_sse(cells["00"].http, "GET", f"/jobs/{job}/events") as stream:
        events = stream.iter_sse()
        for step in range(3):
            transitions(claim.append(an_entry(step)))
            last = next(event for event in events if event.event == "slice")
            assert last.json()["slices_done"] == step + 1
    transitions(claim.append(an_entry(3)))
    with connect_sse(cells["00"].http, "GET", f"/jobs/{job}/events", headers={"Last-Event-ID": last.id}) as stream:
        event = next(stream.iter_sse())
    assert (event.event, event.json()["slices_done"]) == ("slice", 4)


def test_a_caller_that_leaves_a_stream_leaves_it_in_the_other_cell_too(cells: Cells) -> None:
    """Else every reconnection would keep a stream open until the job ends."""
    job = submitted(cells["01"])["id"]
    with connect_sse(cells["00"].http, "GET", f"/jobs/{job}/events") as stream:
        events = stream.iter_sse()
        next(events)
        assert open_streams(cells["01"]) == 1
    deadline = time.monotonic() + 10
    while open_streams(cells["01"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def open_streams(cell: Cell) -> float:
    """Return how many event streams the API of a cell has."""
    (line,) = [
        each for each in cell.http.get("/metrics").text.splitlines() if each.startswith("spn_http_event_streams ")
    ]
    return float(line.split()[1])


def test_a_key_makes_one_job_whichever_cell_is_asked(cells: Cells) -> None:
    """Its home is found by the key alone."""
    for number in range(6):
        headers = {"Idempotency-Key": f"key-{number}"}
        first = submitted(cells["00"], **headers)
        again = cells["01"].http.post("/generate", json={}, headers=headers)
        assert again.json()["id"] == first["id"]
        assert again.headers["Idempotent-Replayed"] == "true"
        other = cells["01"].http.post("/generate", json={"seed": 1}, headers=headers)
        assert other.json()["type"] == "urn:spn:idempotency-key-reused"
    assert all(cell.store.exists("spn:jobs") for cell in cells.values())


def test_a_submit_goes_to_a_cell_with_room(cells: Cells) -> None:
    """Without a key to any other, once. When both are full it is refused, and nothing is sent in circles."""
    with full(cells["00"]):
        assert submitted(cells["00"])["id"][:2] == "01"
        with full(cells["01"]):
            refused = cells["00"].http.post("/generate", json={})
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:spn:queue-full")
    assert int(refused.headers["Retry-After"]) > 0


def test_a_key_whose_home_was_full_stays_where_its_job_is(cells: Cells) -> None:
    """Also when its home has room again: a retry makes no second job."""
    key = next(
        f"key-{n}" for n in range(100) if submitted(cells["00"], **{"Idempotency-Key": f"key-{n}"})["id"][:2] == "00"
    )
    cells["00"].store.flushall()
    headers = {"Idempotency-Key": key}
    with full(cells["00"]):
        moved = submitted(cells["01"], **headers)["id"]
    assert moved[:2] == "01"
    for each in cells.values():
        assert submitted(each, **headers)["id"] == moved


def test_a_variation_is_made_where_its_image_is(cells: Cells) -> None:
    """Its slices are in that cell, with or without a key."""
    job = submitted(cells["01"])["id"]
    transitions, claim = claimed(cells["01"], job)
    transitions(claim.append(an_entry(0)))
    body = {"start": {"job": job, "index": 0, "slices": 1}}
    for number in range(4):
        made = submitted(cells["00"], body, **({"Idempotency-Key": f"v{number}"} if number else {}))
        assert (made["id"][:2], made["start"]["slices"]) == ("01", 1)
    with full(cells["01"]):
        assert cells["00"].http.post("/generate", json=body).json()["type"] == "urn:spn:queue-full"


def test_the_list_has_the_jobs_of_all_cells_in_order_and_pages_lose_none(cells: Cells) -> None:
    """Also with a status, and from any cell."""
    made = []
    for number in range(11):
        made.append(submitted(cells["00" if number % 3 else "01"])["id"])
        time.sleep(0.002)
    for number in (2, 3, 7):
        cells["00"].http.delete(f"/jobs/{made[number]}")
    for each in cells.values():
        for limit in (1, 3, 50):
            assert [job["id"] for job in listed(each, limit=limit)] == made[::-1]
        assert [job["id"] for job in listed(each, limit=2, status="canceled")] == [made[n] for n in (7, 3, 2)]


def listed(cell: Cell, **parameters: str | int) -> list[dict[str, Any]]:
    """Return the jobs of all pages."""
    found, cursor = [], None
    while True:
        page = cell.http.get("/jobs", params={**parameters, **({"cursor": cursor} if cursor else {})}).json()
        assert page["missing_cells"] == []
        found += page["jobs"]
        if (cursor := page["next_cursor"]) is None:
            return found


def test_openais_endpoint_has_the_same_rules(cells: Cells) -> None:
    """A submit moves, and both full is a refusal in its own form."""
    with full(cells["00"]), full(cells["01"]):
        answer = cells["00"].http.post("/v1/images/generations", json={"prompt": "A"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "queue_full")


def test_a_request_that_names_another_cell_than_this_is_refused(cells: Cells) -> None:
    """A wrong address in SPN_CELLS would send requests in circles."""
    assert cells["00"].http.get("/jobs", headers={CELL_HEADER: "01"}).status_code == 421
    job = submitted(cells["01"])["id"]
    assert cells["00"].http.get(f"/jobs/{job}", headers={CELL_HEADER: "00"}).status_code == 404


def test_keys_and_signatures_are_alike_in_all_cells(tmp_path: Path, models: Path) -> None:
    """A signed URL works at any cell, and an owner sees jobs of its own alone."""
    keys = tuple(KeyHash(name=name, sha256=sha256_of(name)) for name in ("studio", "ci"))
    with two_cells(tmp_path, models, keys=keys) as cells:
        studio = {"Authorization": "Bearer studio"}
        job = submitted(cells["00"], **studio)
        url = job["urls"]["self"]
        assert cells["01"].http.get(url).status_code == 200
        assert cells["01"].http.get(url.partition("?")[0]).status_code == 401
        assert cells["01"].http.get(f"{url}x").status_code == 403
        assert [each["id"] for each in cells["01"].http.get("/jobs", headers=studio).json()["jobs"]] == [job["id"]]
        assert cells["01"].http.get("/jobs", headers={"Authorization": "Bearer ci"}).json()["jobs"] == []


def test_a_dead_cell_costs_its_own_jobs_alone(tmp_path: Path, models: Path) -> None:
    """Those are unavailable, not unknown. Lists say that a cell is missing. When it is back, all of its jobs are."""
    with two_cells(tmp_path, models) as cells:
        alive, dead = cells["00"], cells["01"]
        kept, lost = submitted(alive)["id"], submitted(dead)["id"]
        dead.store.save()
        dead.redis.kill()
        assert alive.http.get(f"/jobs/{kept}").status_code == 200
        assert submitted(alive)["id"][:2] == "00"
        answer = alive.http.get(f"/jobs/{lost}")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:spn:unavailable")
        for each in cells.values():
            page = each.http.get("/jobs").json()
            assert page["missing_cells"] == ["01"]
            assert kept in [job["id"] for job in page["jobs"]]
        dead.redis.start()
        assert alive.http.get(f"/jobs/{lost}").status_code == 200
        assert alive.http.get("/jobs").json()["missing_cells"] == []


def test_a_cell_without_an_api_is_unavailable(redis_url: str, models: Path) -> None:
    """The answer is the problem to be tried again, under the caller's request id."""
    addresses = tuple(CellAddress(name=name, url=f"http://127.0.0.1:{free_port()}") for name in ("00", "01"))
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy", cell="00", cells=addresses)
    with serving(settings) as url:
        answer = httpx.get(f"{url}/jobs/01{'0' * 24}", headers={"X-Request-ID": "mine"})
    assert (answer.status_code, answer.headers["X-Request-ID"], answer.headers["Retry-After"]) == (503, "mine", "2")
    assert answer.json()["type"] == "urn:spn:unavailable"
    assert "Cell 01" in answer.json()["detail"]
