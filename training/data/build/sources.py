"""The sources of drawings: pinned npm packages, fetched once into a cache that git ignores."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Source:
    """One pinned npm package and its licence."""

    package: str
    version: str
    licence: str
    credit: str


ICONIFY: Final = Source(
    package="@iconify/json",
    version="2.2.535",
    licence="MIT",
    credit="Iconify, Vjacheslav Trushkin: the collection; each icon set has its own licence",
)
"""The package of all icon sets."""


@dataclass(frozen=True, kw_only=True)
class Cache:
    """The folder of unpacked packages."""

    root: Path

    @property
    def packages(self) -> Path:
        """The folder of npm packages."""
        return self.root / "npm" / "node_modules"

    def fetch(self, sources: tuple[Source, ...]) -> None:
        """Install missing packages. Raises subprocess.CalledProcessError if npm fails."""
        missing = [f"{source.package}@{source.version}" for source in sources if not self._has(source)]
        if not missing:
            return
        home = self.root / "npm"
        home.mkdir(parents=True, exist_ok=True)
        manifest = home / "package.json"
        if not manifest.exists():
            manifest.write_text("{}\n", encoding="utf-8")
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *missing]
        subprocess.run(command, cwd=home, check=True)

    def _has(self, source: Source) -> bool:
        manifest = self.packages / source.package / "package.json"
        return manifest.exists() and json.loads(manifest.read_text(encoding="utf-8"))["version"] == source.version
