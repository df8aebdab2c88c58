"""The manifest of a pack: sources, counts, palette and hash, as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

from training.data.build.faces import HELD_OUT_FAMILIES
from training.data.build.icons import HELD_OUT_SETS, IconSet
from training.data.build.sources import Source
from training.data.build.split import COPY
from training.data.colours import PALETTE
from training.data.symbols import Pack
from training.data.vocabulary import CONTROLS, FAMILIES, LABEL, STYLE


def manifest(pack: Pack, sources: Iterable[Source], sets: Iterable[IconSet], sha256: str) -> str:
    """Return the text of the manifest; equal packs give equal bytes."""
    content = {
        "sha256": sha256,
        "copy_distance": COPY,
        "counts": _counts(pack),
        "controls": {control.name: control.values for control in CONTROLS},
        "aliases": {control.name: dict(control.aliases) for control in CONTROLS if control.aliases},
        "palette": {name: [asdict(region) for region in regions] for name, regions in PALETTE.items()},
        "held_out_sets": sorted(HELD_OUT_SETS),
        "held_out_families": sorted(HELD_OUT_FAMILIES),
        "sets": [asdict(each) for each in sets],
        "sources": [asdict(source) for source in sources],
    }
    return json.dumps(content, indent=1) + "\n"


def _counts(pack: Pack) -> dict[str, dict[str, dict[str, int]]]:
    """Count drawings by split, then by family, by style and by label; and held-out images."""
    return {
        "train": {
            "families": _named(pack.glyph_families, FAMILIES, 0),
            "styles": _named(pack.glyph_styles, STYLE.values, 1),
            "labels": _named(pack.glyph_labels, LABEL.values, 1),
        },
        "held_out": {
            "families": _named(pack.held_glyph_families, FAMILIES, 0),
            "styles": _named(pack.held_glyph_styles, STYLE.values, 1),
            "labels": _named(pack.held_glyph_labels, LABEL.values, 1),
        },
        "held_out_images": {"families": _named(pack.held_families, FAMILIES, 0)},
    }


def _named(ids: Iterable[int], names: tuple[str, ...], first: int) -> dict[str, int]:
    counted = Counter(int(each) for each in ids)
    return {name: counted[position + first] for position, name in enumerate(names)}
