"""What a pack is made of: sources, counts, palette and hash, as JSON beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

from training.data.colours import PALETTE
from training.data.sources import Source
from training.data.split import TWIN
from training.data.symbols import Pack
from training.data.vocabulary import CONTROLS, FAMILIES, LABEL


def manifest(pack: Pack, sources: Iterable[Source], sha256: str) -> str:
    """The manifest's text: the same pack gives the same bytes."""
    content = {
        "sha256": sha256,
        "twin_distance": TWIN,
        "counts": _counts(pack),
        "controls": {control.name: control.values for control in CONTROLS},
        "palette": {name: [asdict(region) for region in regions] for name, regions in PALETTE.items()},
        "sources": [asdict(source) for source in sources],
    }
    return json.dumps(content, indent=1) + "\n"


def _counts(pack: Pack) -> dict[str, dict[str, dict[str, int]]]:
    """How many, by split, then by family and by label; of train glyphs, but of held-out pictures."""
    train_families = np.concatenate([pack.glyph_families, pack.emoji_families])
    train_labels = np.concatenate([pack.glyph_labels, pack.emoji_labels])
    return {
        "train": {"families": _named(train_families, FAMILIES, 0), "labels": _named(train_labels, LABEL.values, 1)},
        "held_out": {
            "families": _named(pack.held_families, FAMILIES, 0),
            "labels": _named(pack.held_controls[:, 0], LABEL.values, 1),
        },
    }


def _named(ids: Iterable[int], names: tuple[str, ...], first: int) -> dict[str, int]:
    counted = Counter(int(each) for each in ids)
    return {name: counted[position + first] for position, name in enumerate(names)}
