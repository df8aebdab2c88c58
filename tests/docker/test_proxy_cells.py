"""docker/nginx.conf before two cells: it finds the cell of a job in its id."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from service.contract.redis_keys import Keys
from service.contract.transitions import Claim, Transitions
from tests.harness.drawing import acquire, an_entry
from tests.harness.nginx import NGINX, nginx
from tests.harness.two_cells import Cell, two_cells

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")


def requests_of(cell: Cell, route: str) -> float:
    """Return how many requests of a route the API of a cell has answered."""
    lines = cell.http.get("/metrics").text.splitlines()
    counted = [
        each for each in lines if each.startswith("spn_http_request_seconds_count") and f'route="{route}"' in each
    ]
    return sum(float(each.rpartition(" ")[2]) for each in counted)


def test_the_proxy_sends_a_job_to_its_cell_and_submits_to_all(tmp_path: Path, models: Path) -> None:
    """No API sends on what the proxy could have sent right; events come as they happen; a dead cell costs its own jobs."""
    with two_cells(tmp_path, models) as cells:
        urls = {f"_{name}": str(each.http.base_url) for name, each in cells.items()}
        with nginx(tmp_path, *urls.values(), **urls) as at, httpx.Client(base_url=at, timeout=20) as http:
            jobs = [http.post("/generate", json={}).json()["id"] for _ in range(6)]
            assert {job[:2] for job in jobs} == {"00", "01"}
            assert [http.get(f"/jobs/{job}").status_code for job in jobs] == [200] * 6
            for name, each in cells.items():
                assert requests_of(each, "/jobs/{job}") == len([job for job in jobs if job[:2] == name])
            streams_events(http, cells, next(job for job in jobs if job[:2] == "01"))
            assert [job["id"] for job in http.get("/jobs").json()["jobs"]] == jobs[::-1]
            assert http.get("/jobs/ff" + "0" * 24).json()["type"] == "urn:spn:unknown-job"
            assert http.get("/jobs", headers={"X-SPN-Cell": "ff"}).status_code == 200
            cells["01"].redis.kill()
            answers = {job: http.get(f"/jobs/{job}") for job in jobs}
            assert {job[:2] for job, answer in answers.items() if answer.status_code == 200} == {"00"}
            assert {answer.json().get("type") for job, answer in answers.items() if job[:2] == "01"} == {
                "urn:spn:unavailable"
            }


def streams_events(http: httpx.Client, cells: dict[str, Cell], job: str) -> None:
    """Each event comes before the next slice is there."""
    transitions, claim = Transitions(cells[job[:2]].store), Claim(keys=Keys(id=job, model="toy"), token="hand")
    transitions(acquire(claim))
    with connect_sse(http, "GET", f"/jobs/{job}/events") as stream:
        events = stream.iter_sse()
        for step in range(2):
            transitions(claim.append(an_entry(step)))
            assert next(event for event in events if event.event == "slice").json()["slices_done"] == step + 1


def test_the_proxy_asks_another_cell_about_one_that_it_cannot_reach(tmp_path: Path, models: Path) -> None:
    """So the answer is the API's own: unavailable for a cell that exists."""
    with two_cells(tmp_path, models) as cells, nginx(tmp_path, str(cells["00"].http.base_url)) as at:
        job = cells["01"].http.post("/generate", json={}).json()["id"]
        assert httpx.get(f"{at}/jobs/{job}").json()["id"] == job
        assert httpx.get(f"{at}/jobs/{job}/images/0").json()["type"] == "urn:spn:not-started"
