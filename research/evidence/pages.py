"""Files of the figures: JSON and plots in docs/benchmarks/, tables at their places in docs/evidence.md."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

DOCS: Final = Path("docs/benchmarks")
PAGE: Final = Path("docs/evidence.md")


def publish(name: str, table: str, record: object) -> None:
    """Print a table, put it between its two marks in the page, and write its JSON; a `str` is JSON already."""
    print(table)
    DOCS.mkdir(parents=True, exist_ok=True)
    text = record if isinstance(record, str) else json.dumps(record, indent=1)
    json_path(name).write_text(text + "\n")
    PAGE.write_text(filled(PAGE.read_text(), name, table))


def json_path(name: str) -> Path:
    """Return the file of the figures of a table."""
    return DOCS / f"evidence-{name}.json"


def with_earlier(
    name: str, rows: Sequence[Mapping[str, Any]], conditions: Mapping[str, object], *, by: Sequence[str] = ("name",)
) -> list[Mapping[str, Any]]:
    """Return the rows, with those that the JSON of a table has under the same conditions; `by` names the fields of a key.

    So contestants can be trained on different days, and their checkpoints need not be kept.
    """
    path = json_path(name)
    found = json.loads(path.read_text()) if path.exists() else {}
    same = isinstance(found, dict) and {each: found.get(each) for each in conditions} == conditions
    known = {tuple(each[field] for field in by): each for each in [*(found["rows"] if same else []), *rows]}
    return [known[key] for key in sorted(known)]


def by_line(rows: Sequence[Mapping[str, Any]], head: Mapping[str, object]) -> str:
    """Return `head` and rows as JSON, each row in a line."""
    start = json.dumps({**head, "rows": []}, indent=1).removesuffix("]\n}")
    return start + "\n  " + ",\n  ".join(map(json.dumps, rows)) + "\n ]\n}"


def filled(page: str, name: str, table: str) -> str:
    """Return the page with the text between `<!-- name -->` and `<!-- /name -->` replaced. Raises ValueError without marks."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page, places = re.subn(f"{start}.*{end}", lambda _: f"{start}\n{table}\n{end}", page, flags=re.DOTALL)
    if places != 1:
        raise ValueError(f"expected one place for {name} in the page, found {places}")
    return page
