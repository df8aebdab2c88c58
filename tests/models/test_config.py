"""Controls resolve aliases, refuse wrong ones, and go on comparing, hashing and travelling in a card."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from models.cards import ModelCard, load_card, save_card
from models.config import ANY, Control, Geometry, ModelConfig, Stage, Widths
from models.errors import ConfigError, ControlError

SUBJECT = Control(name="label", values=("home", "star"), aliases={"house": "home"})


def test_an_alias_means_its_value() -> None:
    """House is home; a value is itself, nothing is any, and what is neither is refused."""
    assert SUBJECT.index("house") == SUBJECT.index("home") == 1
    assert SUBJECT.index("star") == 2
    assert SUBJECT.index(None) == ANY
    with pytest.raises(ControlError, match="no value 'hut'"):
        SUBJECT.index("hut")


@pytest.mark.parametrize(("alias", "value"), [("house", "hut"), ("star", "home")])
def test_a_wrong_alias_is_refused(alias: str, value: str) -> None:
    """One of no value, and one that is a value itself."""
    with pytest.raises(ConfigError, match=alias):
        Control(name="label", values=("home", "star"), aliases={alias: value})


def test_controls_compare_and_hash_with_aliases() -> None:
    """Equal ones are one in a set; other aliases make another control; a copy by pickle is equal."""
    again = Control(name="label", values=("home", "star"), aliases={"house": "home"})
    plain = Control(name="label", values=("home", "star"))
    assert {SUBJECT, again} == {SUBJECT}
    assert plain != SUBJECT
    assert plain == Control(name="label", values=("home", "star"), aliases={})
    assert pickle.loads(pickle.dumps(SUBJECT)) == SUBJECT  # noqa: S301 - our own bytes


def test_aliases_travel_in_the_card(tmp_path: Path) -> None:
    """A saved card gives back an equal configuration, aliases included."""
    widths = {stage: Widths(width=8, blocks=1, heads=1, conv_width=8) for stage in Stage}
    config = ModelConfig(geometry=Geometry(size=8, slice_size=4), controls=(SUBJECT,), widths=widths)
    save_card(ModelCard(name="toy", config=config, sha256="", parameters=1), tmp_path)
    assert load_card(tmp_path).config == config
    assert load_card(tmp_path).config.controls[0].index("house") == 1


def test_steps_and_orders_are_made_once() -> None:
    """They are read several times a slice; made anew, they were half of the loop's time at a capacity of 256."""
    geometry = Geometry(size=64, slice_size=16)
    for name in ("steps", "sampling_order", "ranks", "distances", "kinds"):
        assert getattr(geometry, name) is getattr(geometry, name)
    assert geometry == Geometry(size=64, slice_size=16)
    assert hash(geometry) == hash(Geometry(size=64, slice_size=16))
