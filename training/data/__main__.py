"""`python -m training.data`: builds symbols.npz, its manifest and its notices from pinned packages."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.data.emoji import emoji
from training.data.icons import icons
from training.data.letters import FONTS, HELD_OUT_FACES, letters
from training.data.manifest import manifest
from training.data.notice import notice
from training.data.pack import pack, write
from training.data.sources import EMOJI, ICONS, NOTO, Cache
from training.data.split import split_emoji, split_glyphs
from training.data.symbols import DEFAULT


def main() -> None:
    """Fetches what is missing, renders, splits, packs; prints the counts and the hash."""
    arguments = _arguments()
    cache, folder = Cache(root=arguments.cache), arguments.out
    cache.fetch((*ICONS, *EMOJI, *FONTS))
    glyphs = split_glyphs(list(icons(cache.npm)), list(letters(cache.npm)), HELD_OUT_FACES)
    pictures = split_emoji(list(emoji(cache)))
    packed = pack(glyphs, pictures)
    sha256 = write(packed, folder / DEFAULT.name)
    (folder / "manifest.json").write_text(manifest(packed, (*ICONS, *EMOJI, NOTO, *FONTS), sha256), encoding="utf-8")
    (folder / "NOTICE").write_text(notice(cache, FONTS), encoding="utf-8")
    print(
        f"{len(packed.glyphs)} glyphs, {len(packed.emoji)} emoji, {len(packed.held_images)} held out; sha256 {sha256}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.data", description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path(".cache/data"), help="where packages are unpacked")
    parser.add_argument("--out", type=Path, default=DEFAULT.parent, help="where symbols.npz goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
