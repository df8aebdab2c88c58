"""Glyph masks of icons by concept, from the sets of `@iconify/json` with a suitable licence and style."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from training.data.build.drawings import Drawing
from training.data.build.naming import concept_of
from training.data.tiles import MASTER, Mask
from training.data.vocabulary import Family, Style

LICENCES: Final = frozenset({"MIT", "Apache-2.0", "CC-BY-4.0", "CC0-1.0", "ISC", "Unlicense", "BSD-3-Clause"})
"""SPDX names of the licences that a set may have."""

HELD_OUT_SETS: Final = frozenset(
    {
        "bi", "carbon", "eva", "gravity-ui", "humbleicons", "lineicons", "mage", "majesticons", "mingcute", "proicons",
        "uil", "vaadin",
    }
)  # fmt: skip
"""Sets of which no drawing is trained on."""

_CATEGORIES_OUT: Final = frozenset({"Logos", "Emoji", "Flags / Maps", "Programming"})
_SETS_OUT: Final = frozenset(
    {
        "bitcoin-icons",  # coins and logos
        "dinkie-icons", "memory", "pixel", "pixelarticons", "streamline-pixel",  # pixel art
        "ri",  # its own licence forbids logos, whatever the package says
        "svg-spinners",  # animated
        "uit",  # hairlines
    }
)  # fmt: skip

_PROBE: Final = 96
_EXTENT: Final = 56 / 64
_CLEAR: Final = 12
_FAINT: Final = 12.0
_PALE: Final = 225
_HAIRLINE: Final = 0.04
_HALF_TONE: Final = 0.03
_SOLID: Final = 0.10
_INK: Final = 128
_PROCESSES: Final = 2


@dataclass(frozen=True, kw_only=True)
class IconSet:
    """One icon set of the package with its attribution."""

    prefix: str
    title: str
    version: str
    licence: str
    author: str
    url: str


@dataclass(frozen=True, kw_only=True)
class _Icon:
    svg: str
    """The drawing without its outer element."""
    box: tuple[float, float, float, float]
    """Left, top, width and height of what is shown."""
    concept: str
    prefix: str
    name: str


def icon_sets(package: Path) -> list[IconSet]:
    """Return all usable sets, by prefix."""
    listed: dict[str, dict[str, Any]] = json.loads((package / "collections.json").read_text(encoding="utf-8"))
    return [_icon_set(prefix, entry) for prefix, entry in sorted(listed.items()) if _allowed(prefix, entry)]


def icons(package: Path) -> list[Drawing]:
    """Return every suitable icon with the name of a concept, in a fixed order."""
    found = [icon for each in icon_sets(package) for icon in _named(package, each.prefix)]
    with ProcessPoolExecutor(_PROCESSES) as pool:
        drawn = pool.map(_drawing, found, chunksize=64)
        return [drawing for drawing in drawn if drawing is not None]


def _allowed(prefix: str, entry: Mapping[str, Any]) -> bool:
    moving = "Contains Animations" in entry.get("tags", ())
    return (
        entry["license"].get("spdx") in LICENCES
        and entry.get("category") not in _CATEGORIES_OUT
        and not (entry.get("palette") or moving or prefix in _SETS_OUT)
    )


def _icon_set(prefix: str, entry: Mapping[str, Any]) -> IconSet:
    author, licence = entry["author"], entry["license"]
    return IconSet(
        prefix=prefix,
        title=entry["name"],
        version=entry.get("version", ""),
        licence=licence["spdx"],
        author=author["name"],
        url=author.get("url", licence.get("url", "")),
    )


def _named(package: Path, prefix: str) -> Iterator[_Icon]:
    content = json.loads((package / "json" / f"{prefix}.json").read_text(encoding="utf-8"))
    width, height = content.get("width", 16), content.get("height", 16)
    for name, icon in sorted(content["icons"].items()):
        concept = concept_of(name, prefix)
        if concept and not icon.get("hidden") and "<animate" not in icon["body"]:
            box = (icon.get("left", 0), icon.get("top", 0), icon.get("width", width), icon.get("height", height))
            yield _Icon(svg=icon["body"], box=box, concept=concept, prefix=prefix, name=name)


def _drawing(icon: _Icon) -> Drawing | None:
    """Return the drawing of an icon, None for one that is faint or has two tones."""
    mask = _mask(icon)
    if mask is None or not _fit(mask):
        return None
    style = Style.SOLID if _survives(mask, 17) > _SOLID else Style.OUTLINE
    return Drawing(
        pixels=mask, family=Family.ICONS, label=icon.concept, style=style, source=icon.prefix, name=icon.name
    )


def _mask(icon: _Icon) -> Mask | None:
    """Return the coverage (128, 128) of an icon with its ink centred and scaled to one extent."""
    left, top, width, height = icon.box
    side = max(width, height)
    corner = np.array([left - (side - width) / 2, top - (side - height) / 2])
    probe = _render(icon.svg, (float(corner[0]), float(corner[1]), side), _PROBE)
    rows, columns = np.flatnonzero(probe.max(axis=1) > _CLEAR), np.flatnonzero(probe.max(axis=0) > _CLEAR)
    if not len(rows):
        return None
    low = np.array([columns[0], rows[0]]) * (side / _PROBE) + corner
    high = np.array([columns[-1] + 1, rows[-1] + 1]) * (side / _PROBE) + corner
    extent = float((high - low).max()) / _EXTENT
    x, y = (low + high) / 2 - extent / 2
    return _render(icon.svg, (float(x), float(y), extent), MASTER)


def _render(svg: str, view: tuple[float, float, float], pixels: int) -> Mask:
    """Return alpha (pixels, pixels) of a drawing in a square window of x, y and side."""
    x, y, side = view
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    whole = f'{head} width="{pixels}" height="{pixels}" viewBox="{x:.4f} {y:.4f} {side:.4f} {side:.4f}">{svg}</svg>'
    png = resvg_py.svg_to_bytes(svg_string=whole, skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGBA").getchannel("A"))


def _fit(mask: Mask) -> bool:
    """Return whether a mask is neither faint nor pale, without hairlines, and has one tone."""
    return (
        bool(mask.mean() > _FAINT and mask.max() > _PALE)
        and _survives(mask, 5) > _HAIRLINE
        and _half_tone(mask) < _HALF_TONE
    )


def _survives(mask: Mask, window: int) -> float:
    """Return the share of the ink of a mask that has ink all around within a window."""
    ink = mask >= _INK
    return float(_least(ink, window).sum() / max(1, ink.sum()))


def _half_tone(mask: Mask) -> float:
    """Return the share of the ink that is evenly half transparent: the second tone of a two-tone drawing."""
    spread = (255 - _least(255 - mask, 5)) - _least(mask, 5)
    even = (spread < 16) & (mask > 24) & (mask < 232)  # noqa: PLR2004 - far from clear and from full
    return float(even.sum() / max(1, (mask > 24).sum()))  # noqa: PLR2004


def _least(values: NDArray[Any], window: int) -> NDArray[Any]:
    """Return the least value in a square window of odd side around each place; edges are repeated outwards."""
    least = np.pad(values, window // 2, mode="edge")
    for _ in (0, 1):
        least = np.minimum.reduce([least[shift : shift + len(values)] for shift in range(window)]).T
    return least
