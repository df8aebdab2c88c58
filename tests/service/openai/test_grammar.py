"""What prompts say, and what of them is refused, for the names of the shipped model."""

from __future__ import annotations

import pytest

from models.cards import WEIGHTS, load_card
from service.errors import FieldError
from service.openai.grammar import MOST_NAMED, controls_of, revised

CONTROLS = load_card(WEIGHTS / "symbols-64").config.controls

UNDERSTOOD = {
    "a blue rounded icon of a house": {"label": "home", "hue": "blue", "tile": "rounded"},
    "letter K in serif on a circle": {"label": "K", "style": "serif", "tile": "circle"},
    "Draw me a light bulb, please.": {"label": "lightbulb"},
    "shopping cart": {"label": "cart"},
    "left arrow in teal": {"label": "arrow-left", "hue": "teal"},
    "a picture of a heart": {"label": "heart"},
    "an icon of an image": {"label": "image"},
    "a red letter": {"label": "mail", "hue": "red"},
    "the letter A": {"label": "A"},
    "a house": {"label": "home"},
    "A on a circle": {"label": "A", "tile": "circle"},
    "A, blue": {"label": "A", "hue": "blue"},
    "a": {"label": "A"},
    "the A icon": {"label": "A"},
    "'a' in serif": {"label": "A", "style": "serif"},
    "\u201cI\u201d in a slab font": {"label": "I", "style": "slab"},
    "I want a tree": {"label": "tree"},
    "I\u2019d like a tree": {"label": "tree"},
    "the number 7 in purple without background": {"label": "7", "hue": "violet", "tile": "none"},
    "\uff2b": {"label": "K"},
    "display letter B": {"label": "B", "style": "display"},
    "a palette in blue colour": {"label": "palette", "hue": "blue"},
    "blue, blue": {"hue": "blue"},
}


@pytest.mark.parametrize("prompt", UNDERSTOOD)
def test_a_prompt_names_values(prompt: str) -> None:
    """By value, alias or synonym, in any order."""
    assert controls_of(prompt, CONTROLS) == UNDERSTOOD[prompt]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_every_name_of_the_card_is_understood(control: object) -> None:
    """Each value and each alias; a value of another control has precedence over an alias of this one."""
    others = {value for each in CONTROLS if each is not control for value in each.values}
    names = {value: value for value in control.values} | dict(control.aliases)  # type: ignore[attr-defined]
    for name, value in names.items():
        if name not in others:
            prompt = f"the letter {name}" if len(name) == 1 else f"an icon of {name}"
            assert controls_of(prompt, CONTROLS) == {control.name: value}, prompt  # type: ignore[attr-defined]


def test_a_revised_prompt_says_the_same() -> None:
    """Read again it names the same values."""
    label, *others = CONTROLS
    rest = {control.name: control.values[-1] for control in others}
    for chosen in ({}, *({label.name: value} for value in label.values)):
        assert controls_of(revised({**chosen, **rest}), CONTROLS) == {**chosen, **rest}


REFUSED = {
    "a cute kitten": ("'cute' (similar: cut (scissors)", "'kitten'", "are not understood"),
    "a hart": ("'hart' (similar: heart,", "is not understood"),
    "ein blaues Haus": ("'ein'", "'blaues' (similar: blue", "'Haus'"),
    "\U0001f3e0 house": ("'\U0001f3e0' is not understood",),
    "house and tree": ("two values of label, 'home' and 'tree'",),
    "a red blue house": ("two values of hue, 'red' and 'blue'",),
    "an icon": ("names no label, style, hue or tile",),
    "": ("names no label",),
    " ,.!": ("names no label",),
    "\u202ehouse": (r"'\u202e' is not understood",),
    "x" * 1000: ("'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' is not understood",),
}


@pytest.mark.parametrize("prompt", REFUSED)
def test_what_is_not_understood_is_named(prompt: str) -> None:
    """In one sentence, with names that are similar."""
    with pytest.raises(FieldError) as refusal:
        controls_of(prompt, CONTROLS)
    assert refusal.value.field == "prompt"
    for part in REFUSED[prompt]:
        assert part in refusal.value.message
    assert ". " not in refusal.value.message


def test_a_refusal_is_short() -> None:
    """However many words there are."""
    with pytest.raises(FieldError) as refusal:
        controls_of(" ".join(f"word{number}" for number in range(150)), CONTROLS)
    assert f"and {150 - MOST_NAMED} more are not understood" in refusal.value.message
    assert len(refusal.value.message) < 500
