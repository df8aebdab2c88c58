"""Glyph masks of the icon packages: filled drawings only, without brands, letters and numbers."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from training.data.categories import category
from training.data.drawings import Drawing
from training.data.tiles import MASTER, placed
from training.data.vocabulary import Family

_RENDERED: Final = 128
_EXTENT: Final = 56 / 64
_GROWTH: Final = 1.35
_FAINT: Final = 12.0
_CHARACTER: Final = re.compile(r"(^|-)(alpha|letter|number|numeric|abjad|syllabary|[a-z]|\d+)(-|$)")
_PLURALS: Final = ("ss", "us", "is")


class _Icon(NamedTuple):
    name: str
    path: Path
    tags: tuple[str, ...]


def icons(packages: Path) -> Iterator[Drawing]:
    """All icons of the unpacked `packages`, in a fixed order."""
    for source, listing in (("mdi", _mdi), ("tabler", _tabler), ("bootstrap", _bootstrap), ("phosphor", _phosphor)):
        for icon in listing(packages):
            if not _CHARACTER.search(icon.name) and (drawing := _drawing(icon, source)).pixels.mean() > _FAINT:
                yield drawing


def _drawing(icon: _Icon, source: str) -> Drawing:
    return Drawing(
        pixels=_mask(icon.path),
        family=Family.TILES,
        label=category(icon.name, icon.tags),
        concept=_concept(icon.name),
        source=source,
    )


def _concept(name: str) -> str:
    """The first word of a name, singular: packages vary a subject by appending words."""
    word = name.split("-", maxsplit=1)[0]
    return word[:-1] if word.endswith("s") and not word.endswith(_PLURALS) else word


def render(path: Path, side: int) -> Image.Image:
    """An SVG drawn within side x side, RGBA, transparent where its own aspect leaves room."""
    data = resvg_py.svg_to_bytes(svg_path=str(path), width=side, height=side, skip_system_fonts=True)
    picture = Image.open(io.BytesIO(bytes(data))).convert("RGBA")
    square = Image.new("RGBA", (side, side))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def _mask(path: Path) -> NDArray[np.uint8]:
    """The alpha of an icon, centred by its ink and brought near to a common extent."""
    alpha = np.asarray(render(path, _RENDERED).getchannel("A"))
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    low, high = np.array([rows[0], columns[0]]), np.array([rows[-1], columns[-1]]) + 1
    scale = min(_EXTENT * _RENDERED / float((high - low).max()), _GROWTH)
    offset = -((low + high) / 2 / _RENDERED - 0.5) * scale
    return np.rint(placed(alpha, scale=scale, offset=offset, pixels=MASTER) * 255).astype(np.uint8)


def _mdi(packages: Path) -> Iterator[_Icon]:
    for entry in json.loads((packages / "@mdi/svg/meta.json").read_text()):
        name, tags = entry["name"], tuple(entry["tags"])
        thin = {"outline", "off", "variant"} & set(name.split("-"))
        if not (thin or entry["deprecated"] or {"Brand / Logo", "Alpha / Numeric"} & set(tags)):
            yield _Icon(name, packages / f"@mdi/svg/svg/{name}.svg", tags)


def _tabler(packages: Path) -> Iterator[_Icon]:
    entries = json.loads((packages / "@tabler/icons/icons.json").read_text())
    for name, entry in sorted(entries.items()):
        if "filled" in entry["styles"] and entry["category"] not in {"Brand", "Letters", "Numbers"}:
            yield _Icon(name, packages / f"@tabler/icons/icons/filled/{name}.svg", (entry["category"],))


def _bootstrap(packages: Path) -> Iterator[_Icon]:
    for path in sorted((packages / "bootstrap-icons/icons").glob("*-fill.svg")):
        yield _Icon(path.stem.removesuffix("-fill"), path, ())


def _phosphor(packages: Path) -> Iterator[_Icon]:
    tags = _phosphor_tags(packages / "@phosphor-icons/core/dist/index.mjs")
    for path in sorted((packages / "@phosphor-icons/core/assets/fill").glob("*.svg")):
        name = path.stem.removesuffix("-fill")
        if "brands" not in tags.get(name, ()) and not name.endswith("-logo"):
            yield _Icon(name, path, tags.get(name, ()))


def _phosphor_tags(index: Path) -> dict[str, tuple[str, ...]]:
    """Categories by icon name, read from the package's only index, a JavaScript module."""
    text = index.read_text()
    entries = re.findall(r'name: "([^"]+)",.*?categories: \[([^\]]*)\],\s*figma_category: a\.(\w+)', text, re.DOTALL)
    values = {f"{enum}.{key}": value for enum, key, value in _phosphor_values(text)}
    return {
        name: tuple(values[key] for key in (f"a.{figma}", *keys.split(", ")) if key in values)
        for name, keys, figma in entries
    }


def _phosphor_values(text: str) -> list[tuple[str, str, str]]:
    first, second = re.findall(r"\(\((?:i)\) => \((i\.ARROWS.*?)\)\)\(", text)
    pairs = [("e", pair) for pair in re.findall(r'i\.(\w+) = "([^"]+)"', first)]
    pairs += [("a", pair) for pair in re.findall(r'i\.(\w+) = "([^"]+)"', second)]
    return [(enum, key, value) for enum, (key, value) in pairs]
