"""Exports over HTTP: SVG and images of any size and colour, of final images alone."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import httpx
import numpy as np
import pytest
import redis
from PIL import Image

from models.checkpoint import save_model
from models.config import Geometry
from models.subscale import Bytes, Progress
from service.contract.redis_keys import Keys
from service.contract.stream import SliceEntry
from service.contract.transitions import Claim, Transitions
from service.settings import ServiceSettings
from service.vector.icon_set import SIZES
from tests.harness.drawing import acquire
from tests.harness.serving import serving
from tests.harness.toy import toy_card, toy_networks
from tests.service.vector.drawings import LETTER_L, ROUNDED, image

GEOMETRY = Geometry(size=64, slice_size=16)
ICON = image(LETTER_L, ground=ROUNDED)
LONE = image(LETTER_L)
NOISE = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def api(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for models of 64 pixels."""
    folder: Path = tmp_path_factory.mktemp("models")
    save_model(toy_networks(GEOMETRY), toy_card(GEOMETRY), folder / "toy")
    with serving(ServiceSettings(redis_url=redis_url, models=folder, model="toy")) as url:
        yield url


@pytest.fixture
def client(store: redis.Redis, api: str) -> Iterator[httpx.Client]:
    """A caller, and no jobs. The first export starts a process."""
    assert store.dbsize() == 0
    with httpx.Client(base_url=api, timeout=60) as http:
        yield http


@pytest.fixture
def job(client: httpx.Client, store: redis.Redis) -> Callable[..., str]:
    """Return a function that makes a job with these images, and returns its URL; the last slices may be left out."""

    def made(*images: Bytes, missing: int = 0, **fields: Any) -> str:  # noqa: ANN401 - JSON
        body = {
            "label": "A",
            "seed": 7,
            "controls": {"hue": "blue", "tile": "circle"},
            "num_images": len(images),
            **fields,
        }
        accepted = client.post("/generate", json=body)
        assert accepted.status_code == 202, accepted.text
        claim = Claim(keys=Keys(id=accepted.json()["id"], model="toy"), token="hand")
        transitions = Transitions(store)
        transitions(acquire(claim))
        for index, pixels in enumerate(images):
            progress = Progress.of(pixels, GEOMETRY)
            for step in range(progress.done - missing):
                transitions(claim.append(SliceEntry.of(progress, step, image=index)))
        if not missing:
            transitions(claim.finish())
        return str(accepted.headers["location"])

    return made


def opened(response: httpx.Response) -> Image.Image:
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


def refused(response: httpx.Response, status: int, field: str | None = None) -> None:
    body = response.json()
    assert (response.status_code, body["status"]) == (status, status), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert field is None or [each["field"] for each in body["errors"]] == [field]


def test_a_final_image_comes_as_svg_with_its_label_as_title(client: httpx.Client, job: Callable[..., str]) -> None:
    response = client.get(f"{job(ICON)}/images/0?format=svg")
    root = ET.fromstring(response.content)  # noqa: S314 - our own document
    assert response.headers["content-type"] == "image/svg+xml"
    assert response.headers["vector-form"] == "glyph"
    assert response.headers["content-disposition"] == 'inline; filename="A-blue-circle-7.svg"'
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "A"
    assert len(response.content) < 5000


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
@pytest.mark.parametrize("size", [16, 100])
def test_it_comes_in_any_size_and_format(kind: str, size: int, client: httpx.Client, job: Callable[..., str]) -> None:
    response = client.get(f"{job(ICON)}/images/0?format={kind}&size={size}")
    assert f"A-blue-circle-7-{size}." in response.headers["content-disposition"]
    shown = opened(response)
    assert (shown.format, shown.size) == (kind.upper(), (size, size))


def test_brand_colours_are_exact_and_corners_unpainted(client: httpx.Client, job: Callable[..., str]) -> None:
    where = f"{job(ICON)}/images/0"
    query = {"size": "256", "background": "transparent", "ground": "#0a84ff", "glyph": "FFD60A"}
    pixels = np.asarray(opened(client.get(where, params=query)))
    assert pixels[[0, 0, -1, -1], [0, -1, 0, -1], 3].tolist() == [0] * 4
    assert pixels[32, 128].tolist() == [0x0A, 0x84, 0xFF, 255]
    assert pixels[120, 104].tolist() == [0xFF, 0xD6, 0x0A, 255]


def test_plain_requests_and_scale_stay_exact(client: httpx.Client, job: Callable[..., str]) -> None:
    where = f"{job(ICON)}/images/0"
    assert np.array_equal(np.asarray(opened(client.get(where))), ICON)
    scaled = np.asarray(opened(client.get(f"{where}?scale=2")))
    assert np.array_equal(scaled, ICON.repeat(2, axis=0).repeat(2, axis=1))


def test_an_export_is_cached_by_its_etag(client: httpx.Client, job: Callable[..., str]) -> None:
    where = f"{job(ICON)}/images/0?size=32"
    first = client.get(where)
    assert first.headers["cache-control"].endswith("immutable")
    assert client.get(where, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert client.get(f"{where}&style=flat").headers["etag"] != first.headers["etag"]
    assert client.get(where).content == first.content


def test_an_image_that_is_no_glyph_on_a_ground_is_traced_and_keeps_its_colours(
    client: httpx.Client, job: Callable[..., str]
) -> None:
    where = f"{job(NOISE)}/images/0?format=svg"
    assert client.get(where).headers["vector-form"] == "traced"
    refused(client.get(f"{where}&glyph=ffffff"), 422, "glyph")


def test_a_glyph_without_a_ground_cannot_have_its_colour(client: httpx.Client, job: Callable[..., str]) -> None:
    refused(client.get(f"{job(LONE)}/images/0?size=64&ground=0a84ff"), 422, "ground")


@pytest.mark.parametrize("missing", [1, len(GEOMETRY.steps)])
@pytest.mark.parametrize("query", ["format=svg", "size=64", "background=transparent", "style=flat"])
def test_an_image_that_is_not_final_is_a_conflict(
    query: str, missing: int, client: httpx.Client, job: Callable[..., str]
) -> None:
    refused(client.get(f"{job(ICON, missing=missing)}/images/0?{query}"), 409)


def test_an_earlier_state_is_a_conflict_too(client: httpx.Client, job: Callable[..., str]) -> None:
    refused(client.get(f"{job(ICON)}/images/0?format=svg&slices=3"), 409)


def test_the_slices_of_an_ended_job_are_read_once(
    client: httpx.Client, store: redis.Redis, job: Callable[..., str]
) -> None:
    """Not for each image and size; those of a running job each time. An erased job has no image."""
    ended, running = job(ICON, ICON), job(ICON, missing=1)
    for path, reads in ((f"{ended}/images/0", 0), (f"{ended}/images/1?size=100", 0), (f"{running}/images/0", 1)):
        assert client.get(f"{ended}/images/0").status_code == 200
        store.config_resetstat()
        assert client.get(path).status_code == 200
        stats: Any = store.info("commandstats")
        assert stats.get("cmdstat_xrange", {"calls": 0})["calls"] == reads
    assert client.delete(f"{ended}?erase=true").status_code == 204
    assert client.get(f"{ended}/images/0").status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("size=5", "size"),
        ("size=1025", "size"),
        ("size=64&ground=blue", "ground"),
        ("size=64&ground=%23fff", "ground"),
        ("size=64&ground=0a84ff,0a84ff,0a84ff", "ground"),
        ("size=64&glyph=0a84ff%0A", "glyph"),
        ("background=none", "background"),
        ("style=round", "style"),
        ("format=gif", "format"),
        ("format=jpeg&background=transparent", "background"),
        ("format=svg&scale=2", "scale"),
    ],
)
def test_a_bad_parameter_is_named(query: str, field: str, client: httpx.Client, job: Callable[..., str]) -> None:
    refused(client.get(f"{job(ICON)}/images/0?{query}"), 422, field)


def test_a_bad_colour_is_refused_in_words(client: httpx.Client, job: Callable[..., str]) -> None:
    detail = client.get(f"{job(ICON)}/images/0?ground=blue").json()["detail"]
    assert "expected a colour such as #0a84ff, or two" in detail


def unpacked(response: httpx.Response) -> dict[str, bytes]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    with ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def side(content: bytes) -> int:
    return Image.open(io.BytesIO(content)).width


def test_an_archive_has_every_size_of_every_image(client: httpx.Client, job: Callable[..., str]) -> None:
    response = client.get(f"{job(ICON, LONE)}/export.zip")
    files = unpacked(response)
    names = ("A-blue-circle-7", "A-blue-circle-8")
    assert response.headers["content-disposition"] == 'attachment; filename="A-blue-circle-7-sizes.zip"'
    assert set(files) == {f"{name}.svg" for name in names} | {f"{name}-{size}.png" for name in names for size in SIZES}
    assert {side(files[f"{names[1]}-{size}.png"]) for size in SIZES} == set(SIZES)
    assert np.asarray(Image.open(io.BytesIO(files[f"{names[0]}-64.png"])))[0, 0, 3] == 0


def test_a_web_set_has_what_browsers_look_for(client: httpx.Client, job: Callable[..., str]) -> None:
    files = unpacked(client.get(f"{job(ICON)}/export.zip?set=web&ground=0a84ff"))
    manifest = json.loads(files["manifest.json"])
    named = {each["src"]: each["sizes"] for each in manifest["icons"]}
    assert set(files) == {*named, "favicon.ico", "apple-touch-icon.png", "manifest.json"}
    assert {name: f"{side(files[name])}x{side(files[name])}" for name in named if name.endswith("png")} == {
        name: size for name, size in named.items() if size != "any"
    }
    assert Image.open(io.BytesIO(files["favicon.ico"])).info["sizes"] == {(16, 16), (32, 32), (48, 48)}
    assert side(files["apple-touch-icon.png"]) == 180
    assert np.asarray(Image.open(io.BytesIO(files["maskable-512.png"])))[0, 0].tolist() == [0x0A, 0x84, 0xFF, 255]
    assert manifest["theme_color"] == "#0a84ff"


def test_web_sets_of_several_images_have_a_folder_each(client: httpx.Client, job: Callable[..., str]) -> None:
    files = unpacked(client.get(f"{job(ICON, ICON)}/export.zip?set=web"))
    assert {name.split("/")[0] for name in files} == {"A-blue-circle-7", "A-blue-circle-8"}


def test_an_archive_of_one_image_has_no_other(client: httpx.Client, job: Callable[..., str]) -> None:
    response = client.get(f"{job(LONE, ICON)}/export.zip?index=1&ground=0a84ff")
    assert {name.rsplit("-", 1)[0] for name in unpacked(response) if name.endswith("png")} == {"A-blue-circle-8"}
    assert response.headers["content-disposition"] == 'attachment; filename="A-blue-circle-8-sizes.zip"'


def test_an_archive_of_an_image_that_the_job_has_not_is_unknown(client: httpx.Client, job: Callable[..., str]) -> None:
    refused(client.get(f"{job(ICON)}/export.zip?index=1"), 404)


def test_an_archive_of_no_final_image_is_a_conflict(client: httpx.Client, job: Callable[..., str]) -> None:
    where = f"{job(ICON, missing=1)}/export.zip"
    refused(client.get(where), 409)
    refused(client.get(f"{where}?index=0"), 409)


def test_an_archive_is_cached_by_its_etag(client: httpx.Client, job: Callable[..., str]) -> None:
    where = f"{job(ICON)}/export.zip?set=web"
    tag = client.get(where).headers["etag"]
    assert client.get(where, headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    ("query", "field"), [("set=print", "set"), ("ground=blue", "ground"), ("size=64", "size"), ("index=16", "index")]
)
def test_a_bad_parameter_of_an_archive_is_named(
    query: str, field: str, client: httpx.Client, job: Callable[..., str]
) -> None:
    refused(client.get(f"{job(ICON)}/export.zip?{query}"), 422, field)
