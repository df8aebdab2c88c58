"""Count the imports inside a package: `python -m tests.harness.imports service`.

A room is a sub-package of the package, or a module at its top. `--root` reads another checkout.
"""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

Edges = frozenset[tuple[str, str]]


def modules(root: Path, package: str) -> dict[str, Path]:
    """Return the files of the modules of `package` by dotted name."""
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(files: dict[str, Path]) -> Edges:
    """Return (importing module, imported module) for all imports among `files`."""
    edges = set()
    for module, path in files.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    edges.add((module, whole if whole in files else node.module))
    return frozenset((one, other) for one, other in edges if other in files and other != one)


def room(module: str) -> str:
    """Return the sub-package, or module at the top, that `module` belongs to."""
    return ".".join(module.split(".")[:2])


def between_rooms(edges: Edges) -> Edges:
    """Return the imports that cross from one room to another, each pair of rooms once."""
    return frozenset((room(one), room(other)) for one, other in edges if room(one) != room(other))


def main() -> None:
    """Print one line for each package."""
    parser = argparse.ArgumentParser(description="Count the imports inside packages.")
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--root", type=Path, default=Path())
    args = parser.parse_args()
    for package in args.packages:
        files = modules(args.root, package)
        edges = imports(files)
        own = [name for name, path in files.items() if path.name != "__init__.py"]
        rooms = {room(name) for name in files if name != package}
        counts = f"{len(own)} modules, {len(edges)} imports; {len(rooms)} rooms, {len(between_rooms(edges))} imports"
        print(f"{package}: {counts}")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
