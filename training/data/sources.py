"""Where the drawings come from: pinned packages, fetched once into a cache that git ignores."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Source:
    """One pinned npm package and what its drawings may be used for."""

    package: str
    version: str
    licence: str
    credit: str


ICONS: Final = (
    Source(package="@mdi/svg", version="7.4.47", licence="Apache-2.0", credit="Material Design Icons, Pictogrammers"),
    Source(package="@tabler/icons", version="3.51.0", licence="MIT", credit="Tabler Icons, Pawel Kuna"),
    Source(package="bootstrap-icons", version="1.13.2", licence="MIT", credit="Bootstrap Icons, The Bootstrap Authors"),
    Source(package="@phosphor-icons/core", version="2.1.1", licence="MIT", credit="Phosphor Icons"),
)
EMOJI: Final = (
    Source(
        package="fluentui-emoji",
        version="1.3.0",
        licence="MIT",
        credit="Fluent UI Emoji, Microsoft Corporation; packaged by Mohammad Abu Mattar",
    ),
    Source(
        package="@twemoji/svg",
        version="15.0.0",
        licence="CC-BY-4.0",
        credit="Twemoji, Twitter, Inc and other contributors",
    ),
    Source(
        package="unicode-emoji-json", version="0.9.0", licence="MIT", credit="names and groups of emoji, from Unicode"
    ),
)
NOTO: Final = Source(
    package="fonts-noto-color-emoji",
    version="2.042",
    licence="OFL-1.1",
    credit="Noto Color Emoji, Google LLC (Debian package)",
)
FONT_VERSION: Final = "5.3.0"


@dataclass(frozen=True, kw_only=True)
class Cache:
    """The folder in which packages are unpacked."""

    root: Path

    @property
    def npm(self) -> Path:
        """The folder of npm packages."""
        return self.root / "npm" / "node_modules"

    @property
    def noto(self) -> Path:
        """The Noto Color Emoji font."""
        return self.root / "deb" / "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"

    @property
    def noto_licence(self) -> Path:
        """What Debian says of the font's licence."""
        return self.root / "deb" / "usr/share/doc/fonts-noto-color-emoji/copyright"

    def fetch(self, sources: tuple[Source, ...]) -> None:
        """Installs what is missing. Raises subprocess.CalledProcessError if npm or apt-get fail."""
        missing = [f"{source.package}@{source.version}" for source in sources if not self._has(source)]
        if missing:
            home = self.root / "npm"
            home.mkdir(parents=True, exist_ok=True)
            subprocess.run(
                ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", *self._kept(), *missing],  # noqa: S607
                cwd=home,
                check=True,
            )
        if not self.noto.exists():
            self._fetch_noto()

    def _kept(self) -> list[str]:
        """All that is installed, named again: npm would prune it."""
        manifests = sorted(self.npm.glob("*/package.json")) + sorted(self.npm.glob("@*/*/package.json"))
        packages = [json.loads(path.read_text()) for path in manifests]
        return [f"{package['name']}@{package['version']}" for package in packages]

    def _has(self, source: Source) -> bool:
        manifest = self.npm / source.package / "package.json"
        return manifest.exists() and json.loads(manifest.read_text())["version"] == source.version

    def _fetch_noto(self) -> None:
        home = self.root / "deb"
        home.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", NOTO.package], cwd=home, check=True)  # noqa: S607
        archive = next(home.glob(f"{NOTO.package}_{NOTO.version}*.deb"))
        subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=home, check=True)  # noqa: S607
