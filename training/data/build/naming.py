"""The concept of the name of an icon: style words are dropped, then the rest is looked up."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Final

_STYLES: Final = frozenset(
    {
        "baseline", "outline", "outlined", "outlines", "filled", "fill", "solid", "bold", "rounded", "round",
        "sharp", "regular", "line", "linear", "linealt", "stroke", "stroked", "light", "medium", "semibold", "black",
        "mini", "micro", "remix", "flat", "glyph", "standard", "sm", "lg", "md", "xs", "xl", "px", "ios", "o", "s",
        "f", "l", "i", "full", "empty", "hollow", "variant", "alt", "alternate", "icon", "symbol", "old",
        "v1", "v2", "v3", "w", "wght200", "wght300", "weight", "one", "two", "three", "four", "five", "c",
        "big", "large", "small", "simple", "minimalistic", "basic", "classic", "modern", "expressive", "normal",
        "default", "vertical", "horizontal", "straight", "front", "ltr", "other", "ui", "interface", "generic",
        "flex", "plump", "curved", "freehand",
    }
)  # fmt: skip
"""Words for the style of a drawing, or for one of several drawings of a subject."""

_TWO_TONED: Final = frozenset({"duotone", "twotone", "duo", "bulk", "broken", "thin", "tone"})
_COMPOUNDS: Final = {
    "line-chart": "linechart", "chart-line": "linechart", "line-graph": "linechart", "graph-line": "linechart",
    "flash-light": "flashlight", "traffic-light": "trafficlight", "full-moon": "fullmoon", "moon-full": "fullmoon",
    "new-moon": "fullmoon", "moon-new": "fullmoon", "no-sim": "nosim", "x-small": "close", "x-large": "close",
}  # fmt: skip
"""Names whose style word is part of the subject."""

_NUMBERED: Final = re.compile(
    r"^(filter|looks|timer|crop|counter|number|circle|box|battery|hd|calendar|brightness|speed)-\d+(-|$)"
)
_OTHER_SUBJECT: Final = re.compile(
    r"^(f-)?(one|two|three|four|five)-(key|diamond)$|^arrow-(up|down)-\d+-\d+$|^arrow-ios-|^light-"
    r"|^\d+-plus$|^plus-(five|\d+)|^(horizontal|vertical)-view"
)
"""Names whose dropped words would be the subject: keys of a keyboard, playing cards, orders to sort by, lamps, ages."""

_MEANT_OTHERWISE: Final = {
    "bolt": "lucide proicons",
    "build": "fluent-mdl2 qlementine-icons topcoat",
    "delete": "charm feather jam keyline-icons lucide vadivam",
    "diamond": "bi carbon charm cil fa6-solid fa7-solid fluent fluent-mdl2 gravity-ui lucide mynaui octicon ph proicons",
    "shop": "ic material-symbols material-symbols-light",
    "slider": "boxicons bx reicon solar",
    "tool": "icon-park-outline icon-park-solid icon-park-twotone pepicons",
    "warning": "carbon",
    "tree": "gg grommet-icons ix lsicon qlementine-icons",
}
"""Sets that use a name for another subject: a rhombus, not a gem, or the delete key, not a bin."""

_MATERIAL: Final = ("ic", "material-symbols", "material-symbols-light")


@cache
def _concepts() -> dict[str, str]:
    names = json.loads(Path(__file__).with_name("concepts.json").read_text(encoding="utf-8"))
    return {name: concept for concept, each in names.items() for name in each}


def concept_of(name: str, prefix: str) -> str | None:
    """Return the concept of the icon `name` in the set `prefix`, e.g. "home-2-outline": home; None for others."""
    if prefix in _MATERIAL and _NUMBERED.match(name):
        return None
    if _TWO_TONED & set(name.split("-")):
        return None
    plain = _plain(name)
    if _OTHER_SUBJECT.search(name) or prefix in _MEANT_OTHERWISE.get(plain, "").split():
        return None
    return _concepts().get(f"{prefix}:{plain}") or _concepts().get(plain)


def _plain(name: str) -> str:
    """Return a name without style words and numbers; at least its first word."""
    for compound, word in _COMPOUNDS.items():
        name = re.sub(rf"(^|-){compound}(-|$)", rf"\1{word}\2", name)
    words = re.split(r"[-_]", name)
    kept = [word for word in words if word not in _STYLES and not re.fullmatch(r"\d+(px|x\d+)?", word)]
    return "-".join(kept or words[:1])
