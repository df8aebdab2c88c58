"""Scores add up, their intervals hold the truth, and white is left out where it is said to be."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.config import Geometry, Stage
from tests.harness.toy import toy_networks
from training.data.symbols import ImageBatch
from training.evaluate import shares
from training.scoring.bits import split, stage_share
from training.scoring.plots import plot
from training.scoring.scores import intervals, painted_table, scores_of, shown, table

GEOMETRY = Geometry(size=8, slice_size=4)
FIVE_BITS = Geometry(size=8, slice_size=4, coarse_bits=3, fine_bits=2)


def images(count: int = 12) -> ImageBatch:
    """Noise on the left half, white on the right; two families."""
    rng = np.random.default_rng(0)
    images = np.full((count, 8, 8, 3), 255, np.uint8)
    images[:, :, :4] = rng.integers(0, 255, (count, 8, 4, 3))
    controls = np.ones((count, 3), np.int64)
    return ImageBatch(images=images, controls=controls, families=np.arange(count) % 2)


def test_families_average_to_all() -> None:
    """Equal halves: the score of all images is the mean of the two, stage by stage, and the joint is their sum."""
    batch = images()
    scores = scores_of(shares(toy_networks(GEOMETRY), GEOMETRY, batch), batch, ("even", "odd"), GEOMETRY)
    even, odd, everything = scores
    assert [s.family for s in scores] == ["even", "odd", "all"]
    for stage in Stage:
        assert everything.stages[stage] == pytest.approx((even.stages[stage] + odd.stages[stage]) / 2)
    assert everything.joint == pytest.approx(sum(everything.stages.values()))
    low, high = everything.intervals["joint"]
    assert low <= everything.joint <= high


def test_shares_do_not_depend_on_chunks_or_on_other_stages() -> None:
    """Chunks of 1 and of 100 agree to float32, and one stage alone is what it is among all."""
    networks, batch = toy_networks(GEOMETRY), images(5)
    ones, hundred = (shares(networks, GEOMETRY, batch, chunk=chunk) for chunk in (1, 100))
    alone = shares(networks, GEOMETRY, batch, stages=[Stage.SIZE])
    assert list(alone) == [Stage.SIZE]
    for stage in Stage:
        np.testing.assert_allclose(ones[stage], hundred[stage], rtol=1e-5)
    np.testing.assert_allclose(alone[Stage.SIZE], ones[Stage.SIZE], rtol=1e-5)


def test_white_is_left_out_of_painted_bits() -> None:
    """Half of each image is white: bits over painted sub-pixels are twice the bits/dim, the model's and the codecs'."""
    batch = images()
    score = scores_of(shares(toy_networks(GEOMETRY), GEOMETRY, batch), batch, ("even", "odd"), GEOMETRY)[-1]
    assert score.painted == 0.5
    row = painted_table([score]).splitlines()[-1]
    assert f"{2 * score.joint:.3f}" in row
    assert f"{2 * score.codecs['PNG']:.3f}" in row


def test_intervals_hold_the_mean_they_were_made_for() -> None:
    """Of 200 samples of 50 exponential shares, 88 to 99 of 100 intervals hold the true mean."""
    rng = np.random.default_rng(1)
    ends = [intervals({Stage.BASE: rng.exponential(1.0, 50)})["base"] for _ in range(200)]
    assert 0.88 <= np.mean([low <= 1 <= high for low, high in ends]) <= 0.99


def test_stages_vary_together_in_the_joint_interval() -> None:
    """Where one stage's loss is the other's gain the joint has no width, though each stage has."""
    share = np.random.default_rng(2).normal(1, 0.3, 40)
    found = intervals({Stage.BASE: share, Stage.DEPTH: 2 - share})
    assert found["joint"] == pytest.approx((2, 2))
    assert found["base"][1] - found["base"][0] > 0.05


def test_a_geometry_of_five_bits_takes_the_top_five() -> None:
    """Coarse and fine are the top three bits and the next two; the image shown spans the full range."""
    byte = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    coarse, fine = split(torch.from_numpy(byte), FIVE_BITS)
    assert torch.equal((coarse << 2) | fine, torch.from_numpy(byte).long() >> 3)
    assert set(np.unique(shown(byte, FIVE_BITS))) >= {0, 255}
    assert len(np.unique(shown(byte, FIVE_BITS))) == 32
    assert (shown(byte, GEOMETRY) == byte).all()


def test_scores_become_tables_and_json() -> None:
    """The table has the interval, JSON round-trips."""
    batch = images()
    scores = scores_of(shares(toy_networks(GEOMETRY), GEOMETRY, batch), batch, ("even", "odd"), GEOMETRY)
    assert f"{scores[0].joint:.3f} ± " in table(scores)
    record = json.loads(json.dumps(scores[0].record()))
    assert record["joint"] == scores[0].joint
    assert record["stages"]["depth"] == scores[0].stages[Stage.DEPTH]


def test_scores_become_a_plot(tmp_path: Path) -> None:
    """Where the benchmarks extra is installed."""
    pytest.importorskip("matplotlib")
    batch = images()
    scores = scores_of(shares(toy_networks(GEOMETRY), GEOMETRY, batch), batch, ("even", "odd"), GEOMETRY)
    plot(scores, "toy", tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width > 400


def test_a_stage_without_information_costs_its_bits() -> None:
    """Nats of a uniform guess, scaled, are the stage's bits on its share of the slices."""
    total = sum(stage_share(stage, GEOMETRY) * GEOMETRY.target_bits(stage) * np.log(2) for stage in Stage)
    assert total == pytest.approx(8)
