"""Scores over HTTP, computed by a real worker: they are those of `training.evaluate`."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from models.checkpoint import load_model
from models.config import control_indices
from service.settings import ServiceSettings
from tests.harness.drawing import GEOMETRY
from tests.harness.launcher import eager, working
from tests.harness.serving import serving
from tests.service.api.routes.test_score import PIXELS, STEPS, base64_png
from training.data.symbols import ImageBatch
from training.evaluate import shares

CONTROLS = {"label": "A", "hue": "blue"}


@pytest.fixture(scope="module")
def api(redis_url: str, models: Path) -> Iterator[str]:
    """An app with a worker for the model `toy`."""
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy")
    with working(eager(redis_url, models, "toy")), serving(settings) as url:
        yield url


@pytest.fixture(scope="module")
def scored(api: str) -> Iterator[tuple[httpx.Client, dict[str, Any]]]:
    """A caller, and the body of a score job that the worker has completed."""
    with httpx.Client(base_url=api, timeout=60) as http:
        body = {"image": base64_png(), "controls": CONTROLS, "metadata": {"icon": 3}}
        response = http.post("/score", json=body, headers={"Prefer": "wait=60"})
        assert response.status_code == 200, response.text
        yield http, response.json()


def test_a_score_is_that_of_the_evaluation(scored: tuple[httpx.Client, dict[str, Any]], models: Path) -> None:
    """bits/dim by network to 1e-4; slices and stages add up."""
    _, job = scored
    networks, card = load_model(models / "toy")
    batch = ImageBatch(
        images=PIXELS[None],
        controls=np.array([control_indices(card.config.controls, CONTROLS)]),
        families=np.zeros(1, np.int64),
    )
    expected = {stage: pytest.approx(share[0], abs=1e-4) for stage, share in shares(networks, GEOMETRY, batch).items()}
    found = job["likelihood"]
    assert found["stages"] == expected
    assert found["bits_per_dim"] == pytest.approx(sum(found["stages"].values()))
    assert sum(each["bits"] for each in found["slices"]) == pytest.approx(found["bits_per_dim"] * GEOMETRY.dimensions)
    assert [(each["stage"], each["slice"]) for each in found["slices"]] == [(s.stage, s.slice) for s in GEOMETRY.steps]


def test_a_score_job_is_a_job(scored: tuple[httpx.Client, dict[str, Any]]) -> None:
    """With the model's own distribution, progress, times, and the same body at its URL; its likelihood is not in lists."""
    client, job = scored
    terms = ("task", "status", "controls", "metadata", "num_images", "temperature", "guidance", "candidates", "error")
    assert [job[name] for name in terms] == ["score", "succeeded", CONTROLS, {"icon": 3}, 1, 1.0, 1.0, 1, None]
    assert job["progress"]["slices_done"] == job["progress"]["slices_total"] == STEPS
    assert client.get(job["urls"]["self"]).json() == job
    (listed,) = client.get("/jobs").json()["jobs"]
    assert listed == {**job, "likelihood": None}


def test_the_image_of_a_score_job_is_its_heat_map(scored: tuple[httpx.Client, dict[str, Any]]) -> None:
    """A PNG that caches keep, and after fewer slices a paler one."""
    client, job = scored
    url = job["images"][0]["url"]
    whole = client.get(url)
    image = Image.open(io.BytesIO(whole.content))
    assert (whole.headers["content-type"], image.size) == ("image/png", (GEOMETRY.size,) * 2)
    assert "immutable" in whole.headers["cache-control"]
    assert {"Model", "Weights", "Controls"} <= image.info.keys()
    assert "Seed" not in image.info
    first = np.asarray(Image.open(io.BytesIO(client.get(url, params={"slices": 1}).content)))
    assert np.asarray(image).mean() < first.mean()
    assert client.get(url, params={"format": "webp", "scale": 2}).headers["content-type"] == "image/webp"


def test_a_score_job_has_events(scored: tuple[httpx.Client, dict[str, Any]]) -> None:
    """A slice event for each, with its part of the heat map, and one end."""
    client, job = scored
    text = client.get(job["urls"]["events"], params={"inline": 1}).text
    kinds = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert kinds == ["status", "status", *["slice"] * STEPS, "succeeded"]
    slices = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if '"image_b64"' in line]
    assert [each["slices_done"] for each in slices] == list(range(1, STEPS + 1))
    assert client.get(slices[2]["url"]).content == client.get(job["images"][0]["url"] + "?slices=3").content
    assert base64.b64decode(slices[0]["image_b64"]).startswith(b"\x89PNG")
