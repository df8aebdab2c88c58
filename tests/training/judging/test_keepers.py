"""Keepers show all that was requested, and have no fault beyond those of real images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.judging.painted import disc, picture
from training.data.symbols import DEFAULT, Pack
from training.data.vocabulary import LABEL, STYLE, Style, Tile
from training.judging.craft import Craft
from training.judging.glyphs import FACES, Glyphs
from training.judging.keepers import QUANTILE, VISIBLE, ReferenceImages, is_keeper, kind_of, reference_images, within
from training.judging.observation import Observation, observe
from training.judging.reader import Reader

ASKED = {"label": "A", "hue": "red", "tile": "circle"}
FINE = Craft(wobble=0.02, speckle=0.0, fill=1.0)
SEEN = Observation(label="A", face="serif", style="solid", hue="red", tile="circle", blank=False, craft=FINE)
BOUNDS = {(True, True): Craft(wobble=0.04, speckle=0.5, fill=3.0)}


@pytest.fixture(scope="module")
def held_out() -> ReferenceImages:
    """Sixty letters and sixty icons, and an untrained reader."""
    torch.manual_seed(0)
    reader = Reader(len(LABEL.values), len(FACES)).eval()
    return reference_images(reader, Glyphs.held_out(Pack.read(DEFAULT)), count=60, size=64)


def test_what_shows_the_request_and_is_drawn_well_is_kept() -> None:
    """A serif A on a red circle is what was requested, with or without its face."""
    assert is_keeper(ASKED, SEEN, BOUNDS)
    assert is_keeper({**ASKED, "style": "serif"}, SEEN, BOUNDS)


@pytest.mark.parametrize(
    "other",
    [
        replace(SEEN, label="B"),
        replace(SEEN, hue="pink"),
        replace(SEEN, tile="none"),
        replace(SEEN, blank=True),
        replace(SEEN, craft=replace(FINE, wobble=0.05)),
        replace(SEEN, craft=replace(FINE, speckle=0.6)),
        replace(SEEN, craft=replace(FINE, fill=3.5)),
    ],
)
def test_one_fault_is_enough_to_be_dropped(other: Observation) -> None:
    """Each control, and each measure."""
    assert not is_keeper(ASKED, other, BOUNDS)


def test_styles_of_icons_and_faces_of_letters_differ() -> None:
    """The rule decides solid, the reader decides sans."""
    assert not is_keeper({**ASKED, "style": "sans"}, SEEN, BOUNDS)
    assert SEEN.shows("style", "solid")
    assert not SEEN.shows("style", "outline")


def test_bounds_hold_nearly_all_real_images(held_out: ReferenceImages) -> None:
    """At least 95 of 100 of each kind for each fault; a bound is never below what can be seen."""
    bounds = held_out.bounds()
    assert set(bounds) == {(letter, tiled) for letter in (True, False) for tiled in (True, False)}
    for kind, bound in bounds.items():
        crafts = [s.craft for a, s in zip(held_out.requests, held_out.observations, strict=True) if kind_of(a) == kind]
        assert np.mean([each.wobble <= bound.wobble for each in crafts]) >= QUANTILE - 0.07
        assert bound.fill >= VISIBLE.fill
        assert within(VISIBLE, bound)


def test_rules_are_right_about_real_images(held_out: ReferenceImages) -> None:
    """Hue, tile, and solid or outline of nearly all; none is blank."""
    pairs = list(zip(held_out.requests, held_out.observations, strict=True))
    icons = [(a, s) for a, s in pairs if a[STYLE.name] not in FACES]
    assert np.mean([s.hue == a["hue"] for a, s in pairs]) > 0.97
    assert np.mean([s.tile == a["tile"] for a, s in pairs]) > 0.97
    assert np.mean([s.style == a["style"] for a, s in icons]) > 0.94
    assert not any(s.blank for _, s in pairs)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_observation_works_at_every_size(size: int) -> None:
    """The same disc is solid, blue and on a circle at every size."""
    torch.manual_seed(0)
    reader = Reader(len(LABEL.values), len(FACES)).eval()
    (seen,) = observe(reader, [picture(disc(), Tile.CIRCLE, size=size)])
    assert (seen.hue, seen.tile, seen.style, seen.blank) == ("blue", Tile.CIRCLE, Style.SOLID, False)
