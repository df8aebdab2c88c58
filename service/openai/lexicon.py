"""Lexicon of prompts: the words that name a value of a control, from the card of a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from models.config import Control

NEAREST: Final = 3
"""Similar names that are suggested for a word at most."""

NEAR: Final = 0.6
"""Smallest similarity of a suggestion: the ratio of difflib."""

_LONGEST_COMPARED: Final = 40
_SHORTEST_JOINED: Final = 2

SYNONYMS: Final = {
    "hue": {
        "black": "neutral",
        "gray": "neutral",
        "grey": "neutral",
        "purple": "violet",
        "turquoise": "teal",
        "navy": "blue",
        "gold": "yellow",
        "crimson": "red",
        "light blue": "sky",
        "light green": "lime",
    },
    "tile": {
        "round": "circle",
        "circular": "circle",
        "disc": "circle",
        "rounded square": "rounded",
        **{f"{without} {part}": "none" for without in ("no", "without") for part in ("tile", "background")},
        **{f"without a {part}": "none" for part in ("tile", "background")},
    },
    "style": {
        "outlined": "outline",
        "line art": "outline",
        "filled": "solid",
        "sans serif": "sans",
        "handwritten": "script",
        "cursive": "script",
    },
}
"""Words for values that no card lists, by control. A card whose control lacks the value does not get the word."""

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """A value of a control."""

    control: str
    value: str


class Lexicon:
    """Names of the values of `controls`: values first, then aliases, then SYNONYMS. The first meaning of a name stays.

    A name of several words is also found in another order ("left arrow") and joined ("light bulb" for "lightbulb").
    """

    def __init__(self, controls: Sequence[Control]) -> None:
        self.names: dict[str, Meaning] = {}
        self._exact: dict[Words, Meaning] = {}
        self._folded: dict[Words, Meaning] = {}
        self._sorted: dict[Words, Meaning] = {}
        self._joined: dict[str, Meaning] = {}
        for name, meaning in _entries(controls):
            self._add(name, meaning)
        self.longest = max(map(len, self._folded), default=1)

    def _add(self, name: str, meaning: Meaning) -> None:
        words = _words(name)
        folded = tuple(word.casefold() for word in words)
        self.names.setdefault(" ".join(words), meaning)
        self._exact.setdefault(words, meaning)
        self._folded.setdefault(folded, meaning)
        self._sorted.setdefault(tuple(sorted(folded)), meaning)
        self._joined.setdefault("".join(folded), meaning)

    def find(self, words: Iterable[str]) -> Meaning | None:
        """Return what these words name together."""
        exact = tuple(words)
        folded = tuple(word.casefold() for word in exact)
        found = self._exact.get(exact) or self._folded.get(folded) or self._sorted.get(tuple(sorted(folded)))
        if found or any(len(word) < _SHORTEST_JOINED for word in folded):
            return found
        return self._joined.get("".join(folded))

    def near(self, word: str) -> list[str]:
        """Return names similar to `word`, with the value behind each alias: `house (home)`."""
        close = get_close_matches(word[:_LONGEST_COMPARED].casefold(), self.names, n=NEAREST, cutoff=NEAR)
        meant = ((name, " ".join(_words(self.names[name].value))) for name in close)
        return [name if name == value else f"{name} ({value})" for name, value in meant]


def _entries(controls: Sequence[Control]) -> Iterator[tuple[str, Meaning]]:
    """Yield each name with its meaning, those with precedence first."""
    for control in controls:
        yield from ((value, Meaning(control=control.name, value=value)) for value in control.values)
    for control in controls:
        yield from ((alias, Meaning(control=control.name, value=value)) for alias, value in control.aliases.items())
    for control in controls:
        for word, value in SYNONYMS.get(control.name, {}).items():
            if value in control.values:
                yield word, Meaning(control=control.name, value=value)


def _words(name: str) -> Words:
    return tuple(re.split(r"[\s_-]+", name))
