"""The judge counts what images show, for new and for older models."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.cards import WEIGHTS, ModelCard, load_card
from models.checkpoint import save_model
from models.config import Control, Geometry, ModelConfig, Sampling, Stage, Temperatures, Widths
from models.network import build
from models.pipeline import Pipeline
from models.subscale import Bytes
from models.verifier import verifier_of
from tests.training.judging.painted import disc, picture
from tests.training.judging.test_keepers import ASKED, SEEN
from training import judge as command
from training.data.symbols import DEFAULT, Pack
from training.data.vocabulary import LABEL, STYLE
from training.judge import judge, table
from training.judging import blank_images
from training.judging.blank_images import count_blank
from training.judging.criteria import results
from training.judging.glyphs import FACES, Glyphs
from training.judging.grid import GridPoint, grid_requests, measure, save_points, saved_points, settings
from training.judging.grid import table as grid_table
from training.judging.keepers import ReferenceImages, reference_images
from training.judging.proportions import Proportion
from training.judging.reader import Reader
from training.scoring.samples import temperatures

GEOMETRY = Geometry(size=32, slice_size=16)
FEW = Control(name="label", values=("A", "B", "home"))
TWO_HUES, ONE_TILE = Control(name="hue", values=("red", "blue")), Control(name="tile", values=("circle",))


@pytest.fixture(scope="module")
def reader() -> Reader:
    """Return an untrained reader."""
    torch.manual_seed(0)
    return Reader(len(LABEL.values), len(FACES)).eval()


@pytest.fixture(scope="module")
def held_out(reader: Reader) -> ReferenceImages:
    """Return twenty letters and twenty icons."""
    return reference_images(reader, Glyphs.held_out(Pack.read(DEFAULT)), count=20, size=32)


def untrained(*controls: Control, guided: tuple[Stage, ...] = ()) -> Pipeline:
    """Return a narrow model with random weights."""
    widths = Widths(width=16, blocks=1, heads=2, conv_width=12, embedder_blocks=1)
    config = ModelConfig(geometry=GEOMETRY, controls=controls, widths=dict.fromkeys(Stage, widths))
    torch.manual_seed(0)
    card = ModelCard(name="random", config=config, sha256="", parameters=0, guided=guided)
    return Pipeline(build(config).eval(), card, capacity=64)


def test_a_model_is_judged_on_all_that_it_offers(reader: Reader, held_out: ReferenceImages) -> None:
    """Random weights fail nearly every criterion, and the table shows it."""
    found = judge(untrained(FEW, STYLE, TWO_HUES, ONE_TILE), reader, held_out, each=1)
    counts = {each.kind: each.images.count for each in found.results}
    assert counts == {
        "letters read": 4,
        "concepts read": 2,
        "hue": 5,
        "tile": 5,
        "solid or outline": 1,
        "face of letters": 2,
        "not blank": 8,
        "keepers, letters": 2,
        "keepers, concepts": 1,
    }
    assert not any(each.images.right for each in found.results if each.kind.startswith("keepers"))
    assert "| keepers, letters | 2 | 0.0% " in table(found)
    assert set(found.faults) == {"wobble", "speckle", "fill"}


def test_an_older_model_is_judged_on_its_letters(reader: Reader, held_out: ReferenceImages) -> None:
    """Styles and concepts, which it does not have, are not judged."""
    label = Control(name="label", values=("A", "animal"))
    kinds = {each.kind for each in judge(untrained(label, TWO_HUES, ONE_TILE), reader, held_out, each=1).results}
    assert kinds == {"letters read", "hue", "tile", "not blank", "keepers, letters"}


def test_criteria_count_what_is_right(held_out: ReferenceImages) -> None:
    """Of four images of an A one shows something else, and one is green; the weakest value is named."""
    requests = [ASKED, ASKED, ASKED, {**ASKED, "label": "B"}]
    wobbly = replace(SEEN, craft=replace(SEEN.craft, wobble=9.0))
    seen = [SEEN, replace(SEEN, hue="green"), wobbly, SEEN]
    found = {each.kind: each for each in results(requests, seen, held_out)}
    assert (found["letters read"].images.right, found["letters read"].images.count) == (3, 4)
    assert found["letters read"].weakest == {"B": 0.0, "A": 1.0}
    assert found["hue"].images.value == 0.75
    assert found["keepers, letters"].images.right == 1
    assert found["tile"].real.count == 40


def test_a_grid_point_has_its_share_and_its_cost(reader: Reader, held_out: ReferenceImages) -> None:
    """Two letters and a concept are drawn, and the processor time is measured."""
    pipeline = untrained(FEW, STYLE, TWO_HUES, ONE_TILE)
    point = measure(pipeline, reader, held_out, grid_requests(pipeline.card.config.controls, 1), Sampling())
    assert (point.images, point.letters.count, point.concepts.count) == (3, 2, 1)
    assert point.cpu_minutes >= 0
    assert len(grid_table([point]).splitlines()) == 3


def test_settings_that_make_no_difference_are_left_out() -> None:
    """Without guided networks and verifier only temperatures are compared."""
    assert len(settings(untrained(FEW, TWO_HUES, ONE_TILE))) == 3
    assert len(settings(untrained(FEW, TWO_HUES, ONE_TILE, guided=(Stage.BASE,)))) == 12


def test_the_grid_has_the_default_temperatures_and_up_to_eight_candidates() -> None:
    """Those of the shipped model are among the temperatures; guidance goes to 3."""
    pipeline = untrained(FEW, TWO_HUES, ONE_TILE, guided=(Stage.BASE,))
    pipeline.verifier = verifier_of(pipeline.card.config)
    found = settings(pipeline)
    assert {each.temperature for each in found} >= {
        Temperatures(),
        load_card(WEIGHTS / "symbols-64").sampling.temperature,
    }
    assert {each.candidates for each in found} == {1, 4, 8}
    assert {each.guidance for each in found} == {1, 1.5, 2, 3}


def test_points_of_other_requests_are_not_mixed(tmp_path: Path) -> None:
    """A file of points says what they are of, and another grid does not continue it."""
    nothing = Proportion(right=0, count=1)
    point = GridPoint(sampling=Sampling(), images=1, letters=nothing, concepts=nothing, keepers=nothing, cpu_minutes=1)
    save_points(tmp_path / "grid.json", [point], {"each": 1})
    assert saved_points(tmp_path / "grid.json", {"each": 1}) == [point]
    with pytest.raises(ValueError, match="of other requests"):
        saved_points(tmp_path / "grid.json", {"each": 2})


def test_blank_images_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a white image and one with a glyph one is blank; the base network alone gets the temperature."""
    drawn: list[Sampling] = []

    def two_images(_pipeline: Pipeline, _requests: object, *, sampling: Sampling) -> Bytes:
        drawn.append(sampling)
        return np.stack([np.full((32, 32, 3), 255, np.uint8), picture(disc(), size=32)])

    monkeypatch.setattr(blank_images, "samples", two_images)
    found = count_blank(untrained(FEW), [{"label": "A"}] * 2, Sampling(temperature=Temperatures(size=0.4)), 0.7)
    assert (found.blank.right, found.blank.count, found.temperature) == (1, 2, 0.7)
    assert drawn == [Sampling(temperature=Temperatures(base=0.7, size=0.4))]


def test_temperatures_are_read_by_network() -> None:
    """A number is for all; names are for some; anything else is refused."""
    assert temperatures("0.9") == Temperatures.alike(0.9)
    assert temperatures("size=0.7,depth=0.8") == Temperatures(size=0.7, depth=0.8)
    for wrong in ("warm", "top=1", "size"):
        with pytest.raises(ValueError):  # noqa: PT011 - argparse has its own message
            temperatures(wrong)


@pytest.fixture
def quick(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the command an untrained reader and few images."""
    monkeypatch.setattr(command, "reader_of", lambda *_: reader)
    monkeypatch.setattr(command, "REFERENCES", 12)
    monkeypatch.setattr(command, "COPIED", 2)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("option", "key"),
    [
        ((), "judgement"),
        (("--labels", "A"), "judgement"),
        (("--copies", "A"), "copies"),
        (("--blank", "0.7"), "blank"),
    ],
)
def test_the_command_prints_and_records(
    option: tuple[str, ...],
    key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A table on the screen, the same as JSON in the file."""
    pipeline = untrained(FEW, TWO_HUES, ONE_TILE)
    save_model(pipeline.networks, pipeline.card, tmp_path / "random")
    record = tmp_path / "record.json"
    words = ["judge", str(tmp_path / "random"), "--each", "1", "--temperature", "0.5", "--json", str(record), *option]
    monkeypatch.setattr(sys, "argv", words)
    command.main()
    assert capsys.readouterr().out.startswith("| ")
    written = json.loads(record.read_text())
    assert written[key]
    assert written["sampling"]["temperature"] == {"base": 0.5, "size": 0.5, "depth": 0.5}


@pytest.mark.usefixtures("quick")
def test_a_grid_is_measured_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A call measures at most `--points` new points; the next one continues with the others."""
    pipeline = untrained(FEW, TWO_HUES, ONE_TILE)
    save_model(pipeline.networks, pipeline.card, tmp_path / "random")
    record = tmp_path / "grid.json"
    options = ["--each", "1", "--grid", "--labels", "A", "--json", str(record)]
    monkeypatch.setattr(sys, "argv", ["judge", str(tmp_path / "random"), *options, "--points", "2"])
    for points, left in ((2, 1), (3, 0)):
        command.main()
        assert f"1 images and 0.0 CPU minutes per point; {left} points are left." in capsys.readouterr().out
        assert len(json.loads(record.read_text())["grid"]) == points
