"""Guidance, temperatures, candidates and aliases over HTTP: resolved at submit, said in the answer, drawn by the worker."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from PIL import Image

from models.cards import ModelCard
from models.config import Control, Sampling, Temperatures
from service.api.intake import canonical, new_job, unknown
from service.api.requests import GenerateRequest
from service.contract.record import JobRecord
from service.contract.request import JobRequest
from service.contract.transitions import Transitions
from service.errors import FieldError
from service.settings import ServiceSettings
from tests.harness.drawing import GEOMETRY, a_request, a_running_job, an_entry
from tests.harness.launcher import eager, working
from tests.harness.serving import serving
from tests.harness.toy import save_choosing_model, save_toy_model, toy_card

DEFAULTS = {"temperature": {"base": 1.0, "size": 0.8, "depth": 0.7}, "guidance": 2.0, "candidates": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`choosing` has guidance, a verifier, aliases and defaults; `toy` has no verifier."""
    folder = tmp_path_factory.mktemp("choosing")
    save_choosing_model(folder)
    save_toy_model(folder, "toy")
    return folder


@pytest.fixture(scope="module")
def client(redis_url: str, folder: Path) -> Iterator[httpx.Client]:
    """A server of both models, and a worker that draws for `choosing`."""
    settings = ServiceSettings(redis_url=redis_url, models=folder, model="choosing")
    with working(eager(redis_url, folder, "choosing")), serving(settings) as url, httpx.Client(base_url=url) as http:
        yield http


def generate(client: httpx.Client, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A finished job."""
    response = client.post("/generate", json={"seed": 7, **fields}, headers={"prefer": "wait=30"}, timeout=60)
    assert response.status_code == 200, response.text
    job: dict[str, Any] = response.json()
    assert job["status"] == "succeeded"
    return job


def image(client: httpx.Client, job: dict[str, Any], index: int = 0) -> bytes:
    return client.get(job["images"][index]["url"]).content


def used(job: dict[str, Any]) -> dict[str, Any]:
    return {name: job[name] for name in DEFAULTS}


def test_what_is_left_out_is_the_models_default(client: httpx.Client) -> None:
    """The answer says what was used, and the same written out gives the same bytes."""
    job = generate(client, label="A")
    assert used(job) == DEFAULTS
    assert image(client, job) == image(client, generate(client, label="A", **DEFAULTS))


@pytest.mark.parametrize(
    ("sent", "used"),
    [
        (0.8, 0.8),
        ({"base": 0.9}, {"base": 0.9, "size": 0.8, "depth": 0.7}),
        ({}, {"base": 1.0, "size": 0.8, "depth": 0.7}),
    ],
)
def test_a_temperature_is_one_number_or_some(client: httpx.Client, sent: object, used: object) -> None:
    """One number is for all networks; of an object the rest are the model's."""
    assert generate(client, temperature=sent)["temperature"] == used


def test_guidance_and_candidates_change_the_image(client: httpx.Client) -> None:
    """Each for itself; guidance 1 with one candidate is the model's own distribution."""
    plain = {"label": "A", "temperature": 1.0, "guidance": 1.0, "candidates": 1}
    jobs = [generate(client, **plain, num_images=4), generate(client, **{**plain, "guidance": 4.0}, num_images=4)]
    jobs.append(generate(client, **{**plain, "candidates": 8}, num_images=4))
    images = [[image(client, job, index) for index in range(4)] for job in jobs]
    assert images[0] != images[1]
    assert images[0] != images[2]


def test_a_score_is_the_verifiers_probability(client: httpx.Client) -> None:
    """Of each image with a label; more candidates never read worse; in the PNG too. Without a label there is none."""
    one = generate(client, label="B", candidates=1, num_images=4)
    many = generate(client, label="B", candidates=8, num_images=4)
    for first, best in zip(one["images"], many["images"], strict=True):
        assert 0 < first["score"] <= best["score"] <= 1
    text = Image.open(io.BytesIO(image(client, many))).info
    assert float(text["Score"]) == pytest.approx(many["images"][0]["score"], abs=1e-4)
    assert (text["Guidance"], text["Candidates"], text["Temperature"]) == ("2", "8", "base=1, size=0.8, depth=0.7")
    assert generate(client)["images"][0]["score"] is None


def test_the_event_of_the_base_slice_says_its_score(client: httpx.Client) -> None:
    """The others have none; progress never counts more than there is."""
    job = generate(client, label="B")
    events = client.get(job["urls"]["events"]).text.split("\n\n")
    slices = [json.loads(text.partition("data: ")[2].splitlines()[0]) for text in events if "event: slice" in text]
    assert [event.get("score") for event in slices] == [job["images"][0]["score"], *[None] * 7]
    assert (job["images"][0]["slices_total"], job["images"][0]["candidates"]) == (8, 3)


def test_progress_counts_every_candidate(client: httpx.Client) -> None:
    """Two further base slices for each image with a label, none for the other one."""
    job = generate(client, controls=[{"label": "A"}, {"hue": "red"}], num_images=2)
    assert job["progress"]["slices_total"] == 8 + 2 + 8
    assert job["progress"]["slices_done"] == job["progress"]["slices_total"]
    assert [each["slices_done"] for each in job["images"]] == [8, 8]


def test_an_alias_is_the_value_that_it_names(client: httpx.Client) -> None:
    """The answer gives the value; the model list gives the aliases."""
    assert generate(client, label="symbol")["controls"] == {"label": "icon"}
    assert generate(client, controls={"label": "a"})["controls"] == {"label": "A"}
    assert generate(client, label="SYMBOL", controls={"label": "Icon"})["controls"] == {"label": "icon"}
    choosing, toy = sorted(client.get("/models").json()["models"], key=lambda model: model["name"])
    assert choosing["aliases"] == {"label": {"a": "A", "symbol": "icon"}}
    assert choosing["sampling"] == DEFAULTS
    assert (choosing["guided"], choosing["verifier"]) == (["base"], True)
    assert (toy["aliases"], toy["guided"], toy["verifier"]) == ({}, ["base"], False)


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"guidance": 0.5}, "guidance", "greater than or equal to 1"),
        ({"guidance": 5.5}, "guidance", "less than or equal to 5"),
        ({"candidates": 0}, "candidates", "greater than or equal to 1"),
        ({"candidates": 9}, "candidates", "less than or equal to 8"),
        ({"candidates": 2.5}, "candidates", "integer"),
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"temperature": "hot"}, "temperature", "number"),
        ({"temperature": {"base": 3}}, "temperature.base", "less than or equal to 2"),
        ({"temperature": {"colour": 1}}, "temperature.colour", "not permitted"),
        ({"model": "toy", "candidates": 2}, "candidates", "no verifier"),
        ({"label": "simbol"}, "controls.label", "no value 'simbol'"),
        ({"label": "symbol", "controls": {"label": "A"}}, "label", "differs from controls.label"),
    ],
)
def test_what_cannot_be_sampled_is_refused(client: httpx.Client, body: dict[str, Any], field: str, says: str) -> None:
    """With the field and what is accepted."""
    response = client.post("/generate", json=body)
    assert response.status_code == 422, response.text
    (error,) = response.json()["errors"]
    assert error["field"] == field
    assert says in error["message"]


UNGUIDED = replace(toy_card(GEOMETRY), guided=(), unguided_controls=(), sampling=Sampling(guidance=2.0, candidates=3))


def test_a_model_without_guided_networks_or_verifier_has_guidance_and_candidates_1() -> None:
    """By default, and if that is sent; anything else is refused."""
    for sent in (GenerateRequest(), GenerateRequest(guidance=1, candidates=1)):
        request = ordered(sent, UNGUIDED)
        assert (request.guidance, request.candidates, request.base_lanes) == (1.0, 1, 1.0)
    with pytest.raises(FieldError, match="no guided network: send 1"):
        ordered(GenerateRequest(guidance=1.5), UNGUIDED)
    with pytest.raises(FieldError, match="no verifier to choose one: send 1"):
        ordered(GenerateRequest(candidates=2), UNGUIDED)


def test_base_lanes_are_candidates_twice_where_guidance_acts() -> None:
    """On average over the images: six with a label, two with a tile that is guided, one with a hue alone."""
    card = replace(toy_card(GEOMETRY), verifier="1" * 64)
    controls = [{"label": "A"}, {"tile": "circle"}, {"hue": "red"}]
    request = GenerateRequest(num_images=3, controls=controls, guidance=2, candidates=3)
    assert ordered(request, card).base_lanes == pytest.approx((6 + 2 + 1) / 3)
    assert ordered(request.model_copy(update={"guidance": 1.0}), card).base_lanes == pytest.approx((3 + 1 + 1) / 3)


def ordered(request: GenerateRequest, card: ModelCard) -> JobRequest:
    """What is drawn for a request."""
    return new_job(request, card, id="0" * 24, owner="", retention_seconds=60, deadline_seconds=60).request


def test_an_unknown_value_of_many_names_similar_ones() -> None:
    """Aliases with what they mean; where nothing is similar, where to look."""
    many = Control(
        name="label", values=(*(f"{n:03}" for n in range(30)), "house-1", "anchor"), aliases={"horse": "anchor"}
    )
    told = unknown(many, "hoUse")
    assert told.startswith("label has no value 'hoUse'; similar: ")
    assert told.endswith("similar: house-1, horse (anchor)")
    assert unknown(many, "zzz") == "label has no value 'zzz'; GET /models lists its 32 values"


def test_values_that_differ_by_case_alone_are_told_apart() -> None:
    """Exactly as written first; another case only if it can mean one value."""
    known = {"label": Control(name="label", values=("A", "a", "Home"))}
    assert [canonical(known, "label", value) for value in ("A", "a", "hOME")] == ["A", "a", "Home"]
    twice = {"label": Control(name="label", values=("Ab", "aB"))}
    with pytest.raises(FieldError, match="no value 'AB'"):
        canonical(twice, "label", "AB")


def test_records_of_the_last_release_are_read() -> None:
    """They have one temperature and neither guidance nor candidates: drawn as they were then."""
    written = a_request().to_json().decode()
    old = written.replace(',"guidance":1.0,"candidates":1,"base_lanes":1.0', "")
    assert old != written
    assert JobRequest.from_json(old).sampling == Sampling(temperature=Temperatures.alike(1.0))


def test_a_score_does_not_outlive_its_slice(store: redis.Redis) -> None:
    """`restarted` makes the slices void, and the scores with them."""
    transitions = Transitions(store)
    claim = a_running_job(transitions)
    transitions(claim.append(replace(an_entry(0), score=0.25)))
    assert JobRecord.decode(store.hgetall(claim.keys.record)).scores == (0.25,)
    transitions(claim.restart(weights="other", numerics="n"))
    assert JobRecord.decode(store.hgetall(claim.keys.record)).scores == (None,)
