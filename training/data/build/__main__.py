"""`python -m training.data.build`: build symbols.npz, its manifest and its notices from pinned packages."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.data.build.faces import FONTS
from training.data.build.icons import icon_sets, icons
from training.data.build.letters import letters
from training.data.build.manifest import manifest
from training.data.build.notice import notice
from training.data.build.pack import pack, write
from training.data.build.sources import ICONIFY, Cache
from training.data.build.split import split
from training.data.symbols import DEFAULT


def main() -> None:
    """Fetch missing packages, render, split and pack; print the counts and the hash."""
    arguments = _arguments()
    cache, folder = Cache(root=arguments.cache), arguments.out
    cache.fetch((ICONIFY, *FONTS))
    package = cache.packages / ICONIFY.package
    packed = pack(split([*icons(package), *letters(cache.packages)]))
    sha256 = write(packed, folder / DEFAULT.name)
    used = {*packed.glyph_sources.tolist(), *packed.held_glyph_sources.tolist()}
    sets = [each for each in icon_sets(package) if each.prefix in used]
    (folder / "manifest.json").write_text(manifest(packed, (ICONIFY, *FONTS), sets, sha256), encoding="utf-8")
    (folder / "NOTICE").write_text(notice(cache.packages, sets, FONTS), encoding="utf-8")
    print(f"{len(packed.glyphs)} drawings, {len(packed.held_glyphs)} held out; sha256 {sha256}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.data.build", description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path(".cache/data"), help="where packages are unpacked")
    parser.add_argument("--out", type=Path, default=DEFAULT.parent, help="where symbols.npz goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
