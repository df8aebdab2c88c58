"""Types that generators make of the OpenAPI description."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.api.openapi.responses import REQUESTS
from service.app import create_app
from service.settings import ServiceSettings

USE = """
import type { components, operations } from "./api";
type Request = components["schemas"]["GenerateRequest"];
export const one: Request = { label: "A" };
export const two: Request = {};
export const three: Request = { controls: [{ hue: "blue" }], temperature: { base: 1 }, start: { job: "ab", slices: 3 } };
// @ts-expect-error an unknown field
export const wrong: Request = { lable: "A" };
export const url = (event: components["schemas"]["SliceEvent"]): string => event.url;
type Job = operations["generate"]["responses"][202]["content"]["application/json"];
export const stage = (job: Job): string | undefined => job.start?.stage;
type Images = operations["create_images"]["responses"][200]["content"]["application/json"];
export const prompt: components["schemas"]["ImagesRequest"] = { prompt: "a blue A" };
export const understood = (images: Images): string | undefined => images.data[0]?.revised_prompt;
export const partial = (event: components["schemas"]["PartialImageEvent"]): number => event.partial_image_index;
export const position = (job: Job): number => job.queue_position ?? 0;
"""


@pytest.fixture(scope="module")
def description(models: Path) -> dict[str, Any]:
    """The description of a server."""
    return create_app(ServiceSettings(models=models, model="toy")).openapi()


def test_operations_have_short_names(description: dict[str, Any]) -> None:
    """They become names of functions."""
    names = [operation["operationId"] for path in description["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)
    assert {"generate", "get_job", "list_jobs", "cancel_job", "get_image", "get_events", "list_models"} <= set(names)


def test_no_field_of_a_request_must_be_there_for_its_default(description: dict[str, Any]) -> None:
    """Generators take a field with a default for one that is always there."""
    for name in REQUESTS:
        fields = description["components"]["schemas"][name]["properties"].values()
        assert [field for field in fields if "default" in field] == []


def test_every_event_has_its_schema(description: dict[str, Any]) -> None:
    """As a component, to be imported, and as the content of a stream's data."""
    stream = description["paths"]["/jobs/{job}/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    any_of = stream["itemSchema"]["properties"]["data"]["contentSchema"]["anyOf"]
    names = [each["$ref"].rpartition("/")[2] for each in any_of]
    assert set(names) == {"StatusEvent", "SliceEvent", "JobEvent", "ProblemBody"}
    assert set(names) <= set(description["components"]["schemas"])


def test_an_image_is_bytes(description: dict[str, Any]) -> None:
    """Of every format, the sample sheet among them."""
    for path in ("/jobs/{job}/images/{index}", "/models/{name}/sheet.png"):
        content = description["paths"][path]["get"]["responses"]["200"]["content"]
        binary = {name for name, each in content.items() if each.get("schema", {}).get("format") == "binary"}
        assert binary >= {name for name in content if name in {"image/png", "image/webp", "image/jpeg"}}
        assert "image/png" in binary


@pytest.mark.skipif(not (shutil.which("openapi-typescript") and shutil.which("tsc")), reason="needs npm's two tools")
def test_typescript_accepts_what_the_server_accepts(description: dict[str, Any], tmp_path: Path) -> None:
    """With openapi-typescript and `tsc --strict`."""
    (tmp_path / "openapi.json").write_text(json.dumps(description))
    (tmp_path / "use.ts").write_text(USE)
    for command in (
        ["openapi-typescript", "openapi.json", "-o", "api.d.ts"],
        ["tsc", "--strict", "--noEmit", "--skipLibCheck", "false", "use.ts"],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
