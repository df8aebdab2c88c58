"""The licence notices that whoever ships the pack, or weights trained on it, must carry along."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from training.data.sources import EMOJI, ICONS, NOTO, Cache, Source

_HEAD: Final = """Symbols: third-party drawings

The packed file symbols.npz holds renderings of the drawings and letters listed below, made from unmodified packages.
Each remains under its own licence. Brand icons, flags and skin tones were left out.
"""
_EXTRA: Final = {
    "@twemoji/svg": "The drawings: Copyright 2020 Twitter, Inc and other contributors, under CC-BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/); rendered at 64 x 64 on white. The package:",
    "fluentui-emoji": "The drawings: Copyright (c) Microsoft Corporation, under the MIT License as below. The package:",
}


def notice(cache: Cache, fonts: tuple[Source, ...]) -> str:
    """The whole text: icon and emoji packages in full, fonts by their copyright lines and one copy of the licence."""
    parts = [
        _HEAD,
        *(_package(cache.npm, source) for source in (*ICONS, *EMOJI)),
        _debian(cache),
        _fonts(cache.npm, fonts),
    ]
    return "\n".join(parts)


def _title(source: Source) -> str:
    line = f"{source.package} {source.version} ({source.licence}): {source.credit}"
    return f"{'-' * len(line)}\n{line}\n{'-' * len(line)}\n"


def _package(packages: Path, source: Source) -> str:
    extra = f"{_EXTRA[source.package]}\n\n" if source.package in _EXTRA else ""
    return _title(source) + extra + _licence(packages / source.package)


def _debian(cache: Cache) -> str:
    return _title(NOTO) + cache.noto_licence.read_text(encoding="utf-8")


def _fonts(packages: Path, fonts: tuple[Source, ...]) -> str:
    """One line per family; the licence texts themselves are the same in all."""
    texts = {font: _licence(packages / font.package) for font in fonts}
    lines = [f"{font.package} {font.version} ({font.licence}): {_copyright(text)}" for font, text in texts.items()]
    whole = {font.licence: text for font, text in reversed(texts.items())}
    terms = [
        f"\nThe terms of {licence}:\n\n{text.partition(chr(10))[2].lstrip()}" for licence, text in sorted(whole.items())
    ]
    return "Fonts, drawn as letters and digits\n\n" + "\n".join([*lines, *terms])


def _copyright(text: str) -> str:
    """The first line's statements, each once: it repeats them for every file of a family."""
    statements = re.split(r" (?=\S+\.(?:ttf|otf): )", text.splitlines()[0].strip())
    return " ".join(dict.fromkeys(re.sub(r"^\S+\.(?:ttf|otf): ", "", statement) for statement in statements))


def _licence(package: Path) -> str:
    path = next(path for name in ("LICENSE", "license") if (path := package / name).exists())
    return "\n".join(line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()) + "\n"
