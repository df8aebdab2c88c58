"""The judge counts what images show, of a model new or old."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.cards import ModelCard
from models.checkpoint import save_model
from models.config import Control, Geometry, ModelConfig, Stage, Temperatures, Widths
from models.network import build
from models.pipeline import Pipeline
from tests.training.judging.test_keepers import ASKED, SEEN
from training import judge as command
from training.data.symbols import DEFAULT, Pack
from training.data.vocabulary import LABEL, STYLE
from training.judge import judge, table
from training.judging.criteria import results
from training.judging.glyphs import FACES, Glyphs
from training.judging.grid import grid, settings
from training.judging.grid import table as grid_table
from training.judging.keepers import ReferenceImages, reference_images
from training.judging.reader import Reader
from training.scoring.samples import temperatures

GEOMETRY = Geometry(size=32, slice_size=16)
FEW = Control(name="label", values=("A", "B", "home"))
TWO_HUES, ONE_TILE = Control(name="hue", values=("red", "blue")), Control(name="tile", values=("circle",))


@pytest.fixture(scope="module")
def reader() -> Reader:
    """Untaught."""
    torch.manual_seed(0)
    return Reader(len(LABEL.values), len(FACES)).eval()


@pytest.fixture(scope="module")
def held_out(reader: Reader) -> ReferenceImages:
    """Twenty of each."""
    return reference_images(reader, Glyphs.held_out(Pack.read(DEFAULT)), count=20, size=32)


def untrained(*controls: Control, guided: tuple[Stage, ...] = ()) -> Pipeline:
    """Random weights, narrow."""
    widths = Widths(width=16, blocks=1, heads=2, conv_width=12, embedder_blocks=1)
    config = ModelConfig(geometry=GEOMETRY, controls=controls, widths=dict.fromkeys(Stage, widths))
    torch.manual_seed(0)
    card = ModelCard(name="random", config=config, sha256="", parameters=0, guided=guided)
    return Pipeline(build(config).eval(), card, capacity=64)


def test_a_model_is_judged_on_all_that_it_offers(reader: Reader, held_out: ReferenceImages) -> None:
    """Random weights fail on nearly every count, and the table says so."""
    found = judge(untrained(FEW, STYLE, TWO_HUES, ONE_TILE), reader, held_out, each=1)
    counts = {verdict.kind: verdict.images.count for verdict in found.verdicts}
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
    assert not any(verdict.images.right for verdict in found.verdicts if verdict.kind.startswith("keepers"))
    assert "| keepers, letters | 2 | 0.0% " in table(found)
    assert set(found.faults) == {"wobble", "speckle", "fill"}


def test_an_older_model_is_judged_on_its_letters(reader: Reader, held_out: ReferenceImages) -> None:
    """Nothing is said of styles and concepts, which it does not have."""
    label = Control(name="label", values=("A", "animal"))
    kinds = {verdict.kind for verdict in judge(untrained(label, TWO_HUES, ONE_TILE), reader, held_out, each=1).verdicts}
    assert kinds == {"letters read", "hue", "tile", "not blank", "keepers, letters"}


def test_verdicts_count_what_is_right(held_out: ReferenceImages) -> None:
    """Of four images of an A one shows something else, and one is green; the weakest value is named."""
    asked = [ASKED, ASKED, ASKED, {**ASKED, "label": "B"}]
    wobbly = replace(SEEN, craft=replace(SEEN.craft, wobble=9.0))
    seen = [SEEN, replace(SEEN, hue="green"), wobbly, SEEN]
    found = {verdict.kind: verdict for verdict in results(asked, seen, held_out)}
    assert (found["letters read"].images.right, found["letters read"].images.count) == (3, 4)
    assert found["letters read"].weakest == {"B": 0.0, "A": 1.0}
    assert found["hue"].images.value == 0.75
    assert found["keepers, letters"].images.right == 1
    assert found["tile"].real.count == 40


def test_the_grid_compares_settings(reader: Reader, held_out: ReferenceImages, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each, with seconds."""
    monkeypatch.setattr("training.judging.grid.GUIDANCES", (1.0,))
    points = grid(untrained(FEW, STYLE, TWO_HUES, ONE_TILE), reader, held_out, each=1)
    assert [point.sampling.temperature for point in points] == [Temperatures(), Temperatures(size=0.7, depth=0.8)]
    assert all(point.letters.count == 2 and point.concepts.count == 1 and point.seconds > 0 for point in points)
    assert len(grid_table(points).splitlines()) == 4


def test_settings_that_make_no_difference_are_left_out() -> None:
    """Without guided networks and verifier only temperatures are compared."""
    assert len(settings(untrained(FEW, TWO_HUES, ONE_TILE))) == 2
    assert len(settings(untrained(FEW, TWO_HUES, ONE_TILE, guided=(Stage.BASE,)))) == 8


def test_temperatures_are_read_by_network() -> None:
    """A number is for all; names are for some; anything else is refused."""
    assert temperatures("0.9") == Temperatures.alike(0.9)
    assert temperatures("size=0.7,depth=0.8") == Temperatures(size=0.7, depth=0.8)
    for wrong in ("warm", "top=1", "size"):
        with pytest.raises(ValueError):  # noqa: PT011 - argparse says it its own way
            temperatures(wrong)


@pytest.fixture
def quick(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with an untaught reader and few pictures."""
    monkeypatch.setattr(command, "reader_of", lambda *_: reader)
    monkeypatch.setattr(command, "REAL", 12)
    monkeypatch.setattr(command, "COPIED", 2)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("option", "key"), [((), "judgement"), (("--grid",), "grid"), (("--copies", "A"), "copies")])
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
