"""Grammar of prompts: English phrases about one image, read as controls. docs/openai.md describes it.

    prompt = { name | filler }
    name   = the words of a value, an alias or a synonym (service.openai.lexicon), or a single letter or digit

The order of names is free. What is neither a name nor a filler is refused. Five rules decide between two readings:

- The longest name wins: "shopping cart" is one name.
- "a" is an article before a word of the same clause, unless quoted or after a word like "letter". Else it is the letter.
- "letter", "digit" and the like are fillers before a single character: "letter K", but "a red letter" is the mail icon.
- "icon", "image" and the like are fillers, except after "of" or "for": "an icon of an image".
- "colour" is a filler beside a hue.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from models.config import LABEL, Control
from service.errors import FieldError
from service.openai.lexicon import Lexicon, Meaning

PROMPT: Final = "prompt"
HUE: Final = "hue"

ARTICLES: Final = frozenset({"a", "an", "the"})
OF: Final = frozenset({"of", "for"})
PREPOSITIONS: Final = OF | {"in", "on", "with", "and", "as", "inside", "within", "over"}
THINGS: Final = frozenset(
    {"icon", "image", "picture", "symbol", "pictogram", "glyph", "logo", "sign", "drawing", "illustration", "graphic"}
)
CHARACTERS: Final = frozenset({"letter", "digit", "number", "character", "numeral", "initial", "capital", "uppercase"})
COLOURS: Final = frozenset({"color", "colour"})
FILLERS: Final = (
    ARTICLES
    | PREPOSITIONS
    | {"please", "draw", "generate", "create", "make", "design", "show", "give", "me", "us"}
    | {"background", "tile", "shape", "shaped", "style", "styled", "font", "typeface", "hue", "colored", "coloured"}
)
FILLER_PHRASES: Final = frozenset(
    {("i", "want"), ("i", "need"), ("we", "want"), ("we", "need"), ("i'd", "like"), ("i", "would", "like")}
)

MOST_NAMED: Final = 5
"""Words that a refusal names at most."""

_LONGEST_SHOWN: Final = 30
_TYPEWRITTEN: Final = str.maketrans({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2013: "-", 0x2014: "-"})
"""Curved quotation marks and dashes, in their plain forms."""

_TOKEN: Final = re.compile(
    r"""(?P<quote>["'])(?P<quoted>[^\W_])(?P=quote)
    |(?P<word>[^\W_]+(?:'[^\W_]+)*)
    |(?P<gap>[\s"'/_-]+)
    |(?P<stop>[,.;:!?()\[\]]+)
    |(?P<symbol>.)""",
    re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True)
class Token:
    """A word of a prompt; `clause` counts the punctuation marks before it. A symbol that is no word is never known."""

    text: str
    clause: int
    quoted: bool = False

    @property
    def folded(self) -> str:
        """Return the word without letter case."""
        return self.text.casefold()

    @property
    def single(self) -> bool:
        """Whether it is one letter or digit."""
        return len(self.text) == 1


@dataclass(frozen=True, kw_only=True)
class PromptReading:
    """What some tokens say: a meaning, nothing (a filler), or `known` is false."""

    length: int = 1
    meaning: Meaning | None = None
    known: bool = True


def controls_of(prompt: str, controls: Sequence[Control]) -> dict[str, str]:
    """Return the values that a prompt names, by control. Raises FieldError for what is not understood."""
    sentence = Sentence(tokens_of(prompt), Lexicon(controls), frozenset(each.name for each in controls))
    found: dict[str, str] = {}
    unknown: list[str] = []
    for reading, words in sentence.readings():
        if not reading.known:
            unknown.append(words)
        elif reading.meaning:
            value = found.setdefault(reading.meaning.control, reading.meaning.value)
            if value != reading.meaning.value:
                raise FieldError(PROMPT, _two_values(reading.meaning.control, value, reading.meaning.value))
    if unknown:
        raise FieldError(PROMPT, _not_understood(unknown, sentence.lexicon, controls))
    if not found:
        raise FieldError(PROMPT, f"the prompt names no {_listed([each.name for each in controls], 'or')}; {_HELP}")
    return found


def revised(chosen: Mapping[str, str]) -> str:
    """Return a prompt that names exactly these values: what was understood of another."""
    label = chosen.get(LABEL, "")
    subject = f"an icon of {label}" if label else "an icon"
    if len(label) == 1:
        subject = f"the {'digit' if label.isdecimal() else 'letter'} {label}"
    return ", ".join([subject, *(f"{name} {value}" for name, value in chosen.items() if name != LABEL)])


def tokens_of(prompt: str) -> list[Token]:
    """Return the words of a prompt in Unicode's compatibility form, and each symbol that is no punctuation."""
    tokens, clause = [], 0
    for found in _TOKEN.finditer(unicodedata.normalize("NFKC", prompt).translate(_TYPEWRITTEN)):
        kind = found.lastgroup
        clause += kind == "stop"
        if kind not in {"gap", "stop"}:
            tokens.append(Token(text=found[kind or 0], clause=clause, quoted=kind == "quoted"))
    return tokens


class Sentence:
    """The tokens of a prompt, and what they say."""

    def __init__(self, tokens: Sequence[Token], lexicon: Lexicon, control_names: frozenset[str]) -> None:
        self.lexicon = lexicon
        self._tokens, self._fillers = tokens, FILLERS | control_names

    def readings(self) -> list[tuple[PromptReading, str]]:
        """Return each reading with its words, from the first token to the last."""
        found, at = [], 0
        while at < len(self._tokens):
            reading = self._phrase(at) or self._word(at)
            found.append((reading, " ".join(each.text for each in self._tokens[at : at + reading.length])))
            at += reading.length
        return found

    def _phrase(self, at: int) -> PromptReading | None:
        """The longest name or filler of several words that begins here."""
        rest = [each for each in self._tokens[at : at + self.lexicon.longest] if each.clause == self._tokens[at].clause]
        for length in range(len(rest), 1, -1):
            if tuple(each.folded for each in rest[:length]) in FILLER_PHRASES:
                return PromptReading(length=length)
            if meaning := self.lexicon.find(each.text for each in rest[:length]):
                return PromptReading(length=length, meaning=meaning)
        return None

    def _word(self, at: int) -> PromptReading:
        token = self._tokens[at]
        if not token.quoted and self._fills(at):
            return PromptReading()
        meaning = self.lexicon.find([token.text])
        return PromptReading(meaning=meaning, known=bool(meaning) or token.folded in self._fillers | THINGS)

    def _fills(self, at: int) -> bool:
        """Whether the token here is a filler although it could be a name."""
        word = self._tokens[at].folded
        return (
            (word == "a" and self._is_article(at))
            or (word in CHARACTERS and self._before_character(at))
            or (word in THINGS and not self._is_object(at))
            or (word in COLOURS and self._beside_hue(at))
        )

    def _is_article(self, at: int) -> bool:
        following = self._next(at)
        named = at > 0 and self._tokens[at - 1].folded in CHARACTERS
        return (
            following is not None
            and following.folded not in PREPOSITIONS
            and not named
            and (at == 0 or self._tokens[at].text == "a")
        )

    def _before_character(self, at: int) -> bool:
        following = self._next(at)
        if following is None:
            return False
        return following.single or (following.folded in CHARACTERS and self._before_character(at + 1))

    def _is_object(self, at: int) -> bool:
        before = [each.folded for each in self._tokens[:at] if each.folded not in ARTICLES]
        return bool(before) and before[-1] in OF

    def _beside_hue(self, at: int) -> bool:
        around = [each.text for each in self._tokens[max(at - 1, 0) : at + 2]]
        return any((meaning := self.lexicon.find([word])) and meaning.control == HUE for word in around)

    def _next(self, at: int) -> Token | None:
        """The next token of the same clause."""
        following = self._tokens[at + 1] if at + 1 < len(self._tokens) else None
        return following if following and following.clause == self._tokens[at].clause else None


_HELP: Final = "GET /models lists all names"


def _two_values(control: str, one: str, other: str) -> str:
    return f"the prompt names two values of {control}, {one!r} and {other!r}, but an image has one: send a request for each"


def _not_understood(words: Sequence[str], lexicon: Lexicon, controls: Sequence[Control]) -> str:
    """Return one sentence that names the words, with similar names for each."""
    distinct = list(dict.fromkeys(words))
    named = [_with_similar(word, lexicon) for word in distinct[:MOST_NAMED]]
    if further := len(distinct) - len(named):
        named.append(f"{further} more")
    verb = "is" if len(distinct) == 1 else "are"
    names = _listed([each.name for each in controls], "and")
    return f"{_listed(named, 'and')} {verb} not understood: describe an image by {names}; {_HELP}"


def _with_similar(word: str, lexicon: Lexicon) -> str:
    shown = repr(word if len(word) <= _LONGEST_SHOWN else f"{word[:_LONGEST_SHOWN]}...")
    near = lexicon.near(word)
    return f"{shown} (similar: {', '.join(near)})" if near else shown


def _listed(names: Sequence[str], last: str) -> str:
    """Return `a, b and c`."""
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
