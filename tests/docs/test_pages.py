"""The pages for readers: every link resolves, and docs/api.md agrees with the OpenAPI description of the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
HEADERS_OF_SUBMITS = {"idempotency-key", "prefer"}


@pytest.fixture(scope="module")
def description(models: Path) -> dict[str, Any]:
    """Return the OpenAPI description of the API."""
    return create_app(ServiceSettings(models=models, model="toy")).openapi()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """Links to other hosts are not followed."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_decision_is_in_the_table() -> None:
    """With the title that its page has."""
    table = (DOCS / "decisions" / "README.md").read_text()
    for page in (DOCS / "decisions").glob("[0-9]*.md"):
        number, title = page.read_text().splitlines()[0].removeprefix("# ").split(": ", 1)
        assert f"| [{number}]({page.name}) | {title} |" in table


def test_the_api_page_has_every_route(description: dict[str, Any]) -> None:
    """A section for each operation, and none for a route that does not exist."""
    routes = {route for route, _ in operations(description)}
    assert {heading for heading in sections() if heading.startswith("`")} == routes


def test_the_api_page_has_every_parameter(description: dict[str, Any]) -> None:
    """Those in the query and in headers; the path names its own."""
    for route, operation in operations(description):
        parameters = {each["name"].lower() for each in operation.get("parameters", ()) if each["in"] != "path"}
        assert parameters <= table_names(sections()[route]), route


def test_the_api_page_has_every_field_of_a_request(description: dict[str, Any]) -> None:
    """The fields of the body, those of its objects and the headers; no others."""
    schemas = description["components"]["schemas"]
    nested = {"StageTemperatures": "temperature", "Start": "start", "Variation": "start", "WebhookRequest": "webhook"}
    inner = {f"{name}.{each}" for schema, name in nested.items() for each in schemas[schema]["properties"]}
    documented = table_names(sections()["`POST /generate`"])
    assert documented == set(schemas["GenerateRequest"]["properties"]) | inner | HEADERS_OF_SUBMITS


def test_the_api_page_has_every_field_of_a_score(description: dict[str, Any]) -> None:
    """Those of its request and of its likelihood, and the headers; no others."""
    schemas = description["components"]["schemas"]
    fields = {name for schema in ("ScoreRequest", "LikelihoodBody") for name in schemas[schema]["properties"]}
    assert table_names(sections()["`POST /score`"]) == fields | HEADERS_OF_SUBMITS


def test_the_api_page_has_every_field_of_openais_request(description: dict[str, Any]) -> None:
    """And its one header; no others."""
    fields = description["components"]["schemas"]["ImagesRequest"]["properties"]
    assert table_names(sections()["`POST /v1/images/generations`"]) == {*fields, "idempotency-key"}


@pytest.mark.parametrize(("heading", "schema"), [("The job", "JobBody"), ("`GET /models`", "ModelBody")])
def test_the_api_page_has_every_field_of_an_answer(heading: str, schema: str, description: dict[str, Any]) -> None:
    """And none that an answer does not have."""
    fields = description["components"]["schemas"][schema]["properties"]
    assert table_names(sections()[heading]) == set(fields)


def test_the_api_page_has_every_field_of_an_image_and_an_event(description: dict[str, Any]) -> None:
    """Each is one row of a table."""
    image = description["components"]["schemas"]["ImageBody"]["properties"]
    assert row_names("The job", "images") == set(image)
    events = description["components"]["examples"]
    shown = json.loads(re.findall(r"^data: (.+)$", events["event-slice-inline"]["value"], re.MULTILINE)[0])
    assert row_names("`GET /jobs/{job}/events`", "slice") == {*shown, "score", "inline"}


def test_the_api_page_has_every_type_of_problem() -> None:
    """Other tests keep the pages with refusals and failed jobs complete."""
    assert problem_types("api") == problem_types("refusals") | problem_types("recovery")


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def operations(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each operation with its heading in docs/api.md."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield f"`{method.upper()} {path}`", operation


def sections() -> dict[str, str]:
    """Return the sections of docs/api.md by heading."""
    parts = re.split(r"^## (.+)$", (DOCS / "api.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def table_names(section: str) -> set[str]:
    """Return the quoted names in the first columns of the tables of a section, in lower case."""
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return {name.lower() for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def row_names(heading: str, row: str) -> set[str]:
    """Return the quoted names in the last column of a row."""
    (cell,) = re.findall(rf"^\| `{row}` \| (.+) \|$", sections()[heading], re.MULTILINE)
    return set(re.findall(r"`([^`]+)`", cell))


def problem_types(page: str) -> set[str]:
    """Return the types of problems that a page names."""
    return set(re.findall(r"urn:spn:[a-z-]+", (DOCS / f"{page}.md").read_text()))
