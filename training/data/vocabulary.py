"""What can be asked of a symbol: the frozen names of labels, hues and tiles, and of the picture families.

The order is part of every trained weight: values may never be moved, renamed or removed.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

from models.config import Control

MONOGRAMS: Final = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
"""Labels of letters and digits."""

CATEGORIES: Final = (
    "animal", "arrow", "chart", "chat", "code", "design", "device", "document", "food", "game", "health", "home", "map",
    "media", "money", "music", "nature", "people", "security", "shape", "shopping", "sport", "time", "tool", "vehicle",
    "weather",
)  # fmt: skip
"""Labels of app icons whose subject is known."""

UNCATEGORISED: Final = "icon"
"""Label of an app icon whose subject is not known."""

EMOJI_GROUPS: Final = (
    "emoji-smileys", "emoji-people", "emoji-animals", "emoji-food", "emoji-travel", "emoji-activities",
    "emoji-objects", "emoji-symbols",
)  # fmt: skip
"""Labels of emoji: Unicode's groups, without flags and components."""

NEUTRAL: Final = "neutral"
"""The hue of black, greys and white."""


class Tile(StrEnum):
    """The ground behind a glyph; everything outside it is white."""

    CIRCLE = "circle"
    ROUNDED = "rounded"
    SQUARE = "square"
    NONE = "none"


class Family(IntEnum):
    """Where a picture comes from."""

    TILES = 0
    MONOGRAMS = 1
    FLUENT = 2
    NOTO = 3
    TWEMOJI = 4


FAMILIES: Final = tuple(family.name.lower() for family in Family)
"""Names by family id: tiles, monograms, fluent, noto, twemoji."""

LABEL: Final = Control(name="label", values=(*MONOGRAMS, *CATEGORIES, UNCATEGORISED, *EMOJI_GROUPS))
HUE: Final = Control(
    name="hue",
    values=(
        "red", "orange", "yellow", "lime", "green", "teal", "sky", "blue", "violet", "magenta", "pink", "brown", NEUTRAL,
    ),
)  # fmt: skip
TILE: Final = Control(name="tile", values=tuple(tile.value for tile in Tile))

CONTROLS: Final = (LABEL, HUE, TILE)
"""The controls of every symbols model, in the order of a batch's columns."""
