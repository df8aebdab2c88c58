"""The requests of the judge cover what a model offers, and nothing else."""

from collections import Counter

from models.config import Control
from training.data.vocabulary import CONCEPTS, CONTROLS, HUE, LABEL, MONOGRAMS, STYLE, TILE
from training.judging.glyphs import FACES, ICON_STYLES
from training.judging.judged_requests import judged_requests


def test_every_label_has_its_share_of_requests() -> None:
    """Four with hue and tile, and two with a style."""
    requests = judged_requests(CONTROLS, 4)
    on_tiles = Counter(one[LABEL.name] for one in requests if {LABEL.name, TILE.name} <= set(one))
    styled = Counter(one[LABEL.name] for one in requests if STYLE.name in one)
    assert on_tiles == dict.fromkeys((*MONOGRAMS, *CONCEPTS), 4)
    assert styled == dict.fromkeys((*MONOGRAMS, *CONCEPTS), 2)


def test_hues_and_tiles_are_spread_over_labels() -> None:
    """No tile has twice as many letters as another; every hue occurs."""
    letters = [one for one in judged_requests(CONTROLS, 2) if one.get(LABEL.name) in MONOGRAMS and TILE.name in one]
    tiles = Counter(one[TILE.name] for one in letters)
    assert max(tiles.values()) < 2 * min(tiles.values())
    assert {one[HUE.name] for one in letters} == set(HUE.values)


def test_looks_are_requested_alone_too() -> None:
    """Every pair of hue and tile as often as a label."""
    looks = Counter((one[HUE.name], one[TILE.name]) for one in judged_requests(CONTROLS, 3) if LABEL.name not in one)
    assert looks == {(hue, tile): 3 for hue in HUE.values for tile in TILE.values}


def test_letters_get_faces_and_icons_get_solid_or_outline() -> None:
    """All of each."""
    styles = {
        (one[LABEL.name] in MONOGRAMS, one[STYLE.name]) for one in judged_requests(CONTROLS, 4) if STYLE.name in one
    }
    assert styles == {*((True, face.value) for face in FACES), *((False, style.value) for style in ICON_STYLES)}


def test_an_older_model_gets_requests_for_its_own_values() -> None:
    """Its letters, without styles; its own categories are not judged, not even those with a concept's name."""
    label = Control(name="label", values=("A", "animal", "home", "B"))
    requests = judged_requests((label, HUE, TILE), 1)
    assert {one[LABEL.name] for one in requests if LABEL.name in one} == {"A", "B"}
    assert not any(STYLE.name in one for one in requests)


def test_a_subset_of_labels_is_requested_alone() -> None:
    """With hue and tile, and with a style; no look without a label."""
    requests = judged_requests(CONTROLS, 2, labels=("A", "home"))
    assert Counter(one[LABEL.name] for one in requests) == {"A": 3, "home": 3}
