"""A preview shows what one stage makes of true earlier slices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.config import Geometry, Stage
from models.network import Network
from tests.harness.flat import GEOMETRY, Flat
from tests.harness.toy import toy_config
from training.loop.previews import IMAGES, Preview
from training.scoring.samples import tiled


def preview(stage: Stage, geometry: Geometry = GEOMETRY) -> Preview:
    return Preview(config=toy_config(geometry), stage=stage, held_out=Flat().held_out(), device=torch.device("cpu"))


@pytest.mark.parametrize("stage", Stage)
def test_a_sheet_ends_with_the_true_images(tmp_path: Path, stage: Stage) -> None:
    """Two rows for base, three for the others; the last is the held-out images as they are."""
    torch.manual_seed(0)
    preview(stage).write(Network(toy_config(GEOMETRY), stage).state_dict(), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        sheet = np.asarray(image)
    truth = tiled(Flat().held_out().images[:IMAGES], columns=IMAGES, scale=12)
    assert len(sheet) == len(truth) * (2 if stage is Stage.BASE else 3)
    assert (sheet[-len(truth) :] == truth).all()


def test_depth_keeps_the_true_coarse_bits() -> None:
    """Whatever it draws, what was given stays: only the fine bits are the network's."""
    look, states = preview(Stage.DEPTH), []
    pipeline = look.pipeline(Network(toy_config(GEOMETRY), Stage.DEPTH).state_dict())
    states = look.states()
    while states[0].progress.next:
        states = pipeline.advance(states)
    made = np.stack([state.progress.image() for state in states])
    assert (made >> 5 == Flat().held_out().images[:IMAGES] >> 5).all()


def test_only_the_own_stage_is_built_at_its_width() -> None:
    """The others stand by: ten times smaller in sum than one true network."""
    look = preview(Stage.SIZE)
    wide = replace(
        look,
        config=replace(look.config, widths=dict.fromkeys(Stage, replace(look.config.widths[Stage.SIZE], width=128))),
    )
    networks = wide.pipeline(Network(wide.config, Stage.SIZE).state_dict()).networks
    counts = {stage: sum(p.numel() for p in networks[stage].parameters()) for stage in Stage}
    assert 10 * (counts[Stage.BASE] + counts[Stage.DEPTH]) < counts[Stage.SIZE]
