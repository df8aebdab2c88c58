"""Files of the figures: JSON and plots in docs/benchmarks/, tables at their places in docs/evidence.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

DOCS: Final = Path("docs/benchmarks")
PAGE: Final = Path("docs/evidence.md")


def publish(name: str, table: str, record: object) -> None:
    """Print a table, put it between its two marks in the page, and write its JSON."""
    print(table)
    DOCS.mkdir(parents=True, exist_ok=True)
    (DOCS / f"evidence-{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    PAGE.write_text(filled(PAGE.read_text(), name, table))


def filled(page: str, name: str, table: str) -> str:
    """Return the page with the text between `<!-- name -->` and `<!-- /name -->` replaced. Raises ValueError without marks."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page, places = re.subn(f"{start}.*{end}", lambda _: f"{start}\n{table}\n{end}", page, flags=re.DOTALL)
    if places != 1:
        raise ValueError(f"expected one place for {name} in the page, found {places}")
    return page
