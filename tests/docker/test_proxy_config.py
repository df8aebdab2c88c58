"""docker/nginx.conf under a real nginx, before the real API: what a proxy usually breaks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from httpx_sse import ServerSentEvent, connect_sse

from service.contract.transitions import Transitions, create
from service.local.processes import free_port
from service.settings import ServiceSettings
from tests.harness.drawing import a_claim, a_request, acquire, an_entry
from tests.harness.nginx import CONFIG, NGINX, nginx
from tests.harness.serving import serving

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")


@pytest.fixture
def url(store: redis.Redis, redis_url: str, models: Path, tmp_path: Path) -> Iterator[str]:
    """A proxy before an API before an empty Redis."""
    assert store.dbsize() == 0
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy")
    with serving(settings) as api, nginx(tmp_path, api) as at:
        yield at


def test_an_event_passes_as_soon_as_it_happens(url: str, store: redis.Redis) -> None:
    """The second slice is not even drawn when the first has come: nothing is held back to fill a buffer."""
    transitions, request = Transitions(store), a_request()
    claim = a_claim(request)
    transitions(create(request, bound=100))
    transitions(acquire(claim))
    with (
        httpx.Client(base_url=url, timeout=10) as http,
        connect_sse(http, "GET", f"/jobs/{request.id}/events", params={"inline": 1}) as stream,
    ):
        events = stream.iter_sse()
        for step in range(8):
            transitions(claim.append(an_entry(step)))
            assert slices_done(events) == step + 1


def slices_done(events: Iterator[ServerSentEvent]) -> int:
    """Of the next event about a slice."""
    return next(int(event.json()["slices_done"]) for event in events if event.event == "slice")


def test_a_long_poll_and_a_long_body_get_the_apis_own_answers(url: str) -> None:
    """The API's 413, its problems and its request ids; not a page of the proxy's."""
    with httpx.Client(base_url=url, timeout=10) as http:
        long = http.post("/generate", content=b" " * 1_200_000, headers={"Content-Type": "application/json"})
        gone = http.get("/jobs/gone", headers={"X-Request-ID": "mine"})
    assert (long.status_code, long.headers["Content-Type"]) == (413, "application/problem+json")
    assert (gone.status_code, gone.headers["X-Request-ID"]) == (404, "mine")


@pytest.mark.parametrize("names", ["docker/nginx-names.conf", "deploy/kubernetes/proxy/nginx-names.conf"])
def test_the_shipped_names_fit_the_configuration(names: str, tmp_path: Path) -> None:
    """Of Compose and of Kubernetes; the name server's own name is known in the cluster alone."""
    (tmp_path / "nginx.conf").write_text(CONFIG.read_text().replace("/tmp/", f"{tmp_path}/"))  # noqa: S108 - the container's
    text = (CONFIG.parents[1] / names).read_text()
    (tmp_path / "names.conf").write_text(text.replace("kube-dns.kube-system.svc.cluster.local", "127.0.0.1"))
    done = subprocess.run(
        [str(NGINX), "-t", "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_metrics_are_not_for_the_world(url: str) -> None:
    """The page is, the metrics are not."""
    assert httpx.get(f"{url}/").status_code == 200
    assert httpx.get(f"{url}/metrics").status_code == 404


def test_without_an_api_the_answer_is_a_problem_to_be_tried_again(tmp_path: Path) -> None:
    """As the API itself says it when Redis is away."""
    with nginx(tmp_path, f"http://127.0.0.1:{free_port()}") as at:
        answer = httpx.post(f"{at}/generate", json={})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:spn:unavailable"
