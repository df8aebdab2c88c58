"""Verdicts count what samples show."""

import numpy as np
import torch
from training.reading import Reader

from models.cards import ModelCard
from models.config import Geometry, ModelConfig, Stage, Widths
from models.network import build
from models.pipeline import Pipeline
from models.subscale import Bytes
from training.data.symbols import Symbols
from training.data.vocabulary import CONTROLS, HUE, LABEL, MONOGRAMS, TILE
from training.judge import judge, real, table, tiles, verdict


def test_a_verdict_is_the_share_of_right_answers() -> None:
    """Three of four squares are called squares; the value told worst is named."""
    held_out = Symbols.load(size=32).held_out()
    said = iter([["square", "square", "square", "circle"], ["circle"] * 700])

    def eye(_: Bytes) -> list[str]:
        return next(said)

    asked = [{"tile": "square"}] * 3 + [{"tile": "none"}]
    found = verdict(TILE, eye, np.zeros((4, 32, 32, 3), np.uint8), asked, held_out)
    assert (found.count, found.share) == (4, 0.75)
    assert found.weakest == {"none": 0.0, "square": 1.0}
    assert found.real == 0.25


def test_real_pictures_pass_the_rules() -> None:
    """What the rules say of held-out pictures is what they are."""
    assert real(TILE, tiles, Symbols.load(size=32).held_out()) > 0.98


def test_a_model_is_judged_on_label_hue_and_tile() -> None:
    """Random weights fail on every count, and the table says so."""
    widths = Widths(width=16, blocks=1, heads=2, conv_width=12, embedder_blocks=1)
    geometry = Geometry(size=32, slice_size=16)
    config = ModelConfig(geometry=geometry, controls=CONTROLS, widths=dict.fromkeys(Stage, widths))
    torch.manual_seed(0)
    card = ModelCard(name="random", config=config, sha256="", parameters=0)
    pipeline = Pipeline(build(config).eval(), card, capacity=64)
    verdicts = judge(pipeline, Symbols.load(size=32).held_out(), Reader(), each=1)
    assert [v.control for v in verdicts] == [LABEL.name, HUE.name, TILE.name]
    assert [v.count for v in verdicts] == [len(MONOGRAMS), 3 * len(HUE.values), 4 * len(HUE.values)]
    assert all(v.share < 0.5 for v in verdicts)
    assert "| tile | 52 |" in table(verdicts)
