"""docs/clients.md, snippet by snippet, against the real API and a worker that draws."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from service.settings import ServiceSettings
from tests.harness.launcher import eager, working
from tests.harness.serving import serving

ROOT = Path(__file__).parents[2]
SERVER = "http://127.0.0.1:8000"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node, the JavaScript runtime")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


@pytest.fixture(scope="module")
def url(redis_url: str, models: Path) -> Iterator[str]:
    """An API whose default model is drawn."""
    with (
        working(eager(redis_url, models, "toy")),
        serving(ServiceSettings(redis_url=redis_url, models=models, model="toy")) as at,
    ):
        yield at


def snippet(language: str, having: str, url: str) -> str:
    """The one snippet of the document that has `having` in it, for the server at `url`."""
    blocks = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs/clients.md").read_text(), re.DOTALL)
    (found,) = [text for tongue, text in blocks if tongue == language and having in text]
    assert SERVER in found
    return str(found.replace(SERVER, url))


def ran(command: list[str], folder: Path) -> str:
    """What a command that succeeds prints, run in `folder` with this checkout and this Python at hand."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def size(path: Path) -> tuple[int, int]:
    """Of a picture."""
    return Image.open(io.BytesIO(path.read_bytes())).size


def client_module(url: str, folder: Path) -> None:
    """The client that the server gives, saved as the document says."""
    (folder / "client.mjs").write_text(httpx.get(f"{url}/page/client.js").raise_for_status().text)


@needs_curl
def test_the_curl_snippet_draws_a_picture(url: str, tmp_path: Path) -> None:
    """Submit, events, long poll, file."""
    told = ran(["sh", "-e", "-c", snippet("sh", "curl", url)], tmp_path)
    assert told.count("event: slice") == 8
    assert "event: succeeded" in told
    assert '"status":"succeeded"' in told
    assert size(tmp_path / "A-7.png") == (64, 64)


def test_the_python_snippet_draws_two_pictures(url: str, tmp_path: Path) -> None:
    """And tells of every slice."""
    told = ran([sys.executable, "-c", snippet("python", "import", url)], tmp_path)
    assert sorted(told.splitlines())[:2] == ["0 base 1 8", "0 depth 5 8"]
    assert len(told.splitlines()) == 16
    assert [size(tmp_path / name) for name in ("A-7.png", "A-8.png")] == [(64, 64), (64, 64)]


def test_the_command_snippet_draws_four_pictures(url: str, tmp_path: Path) -> None:
    """And prints where they are."""
    told = ran(["sh", "-e", "-c", snippet("sh", "service.client", url)], tmp_path)
    assert told.split() == [f"icons/A-{seed}.png" for seed in range(7, 11)]
    assert all(size(tmp_path / path) == (64, 64) for path in told.split())


@needs_node
def test_the_javascript_snippet_draws_a_picture(url: str, tmp_path: Path) -> None:
    """With the page's own client, outside any page."""
    client_module(url, tmp_path)
    (tmp_path / "draw.mjs").write_text(snippet("js", "import", url))
    assert ran(["node", "draw.mjs"], tmp_path).splitlines()[-1] == "succeeded 1"
    assert size(tmp_path / "A-7.png") == (64, 64)


@needs_node
def test_the_javascript_client_throws_problems(url: str, tmp_path: Path) -> None:
    """A refusal with its fields, a server that is away, and an address that is missing."""
    client_module(url, tmp_path)
    (tmp_path / "fail.mjs").write_text(
        f"""import {{ Client, Problem }} from "./client.mjs";
        const thrown = async (act) => {{
          const error = await act().catch((error) => error);
          return [error instanceof Problem, error.status, error.type, error.errors?.[0]?.field];
        }};
        const client = new Client({{ base: "{url}" }});
        const nobody = new Client({{ base: "http://127.0.0.1:1" }});
        console.log(JSON.stringify([
          await thrown(() => client.submit({{ label: "Q" }})),
          await thrown(() => client.finished({{ id: "none", urls: {{ self: "/jobs/none" }} }})),
          await thrown(() => nobody.models()),
          await thrown(async () => new Client()),
        ]));"""
    )
    assert json.loads(ran(["node", "fail.mjs"], tmp_path)) == [
        [True, 422, "urn:spn:invalid-request", "controls.label"],
        [True, 404, "urn:spn:unknown-job", None],
        [True, 0, "about:blank", None],
        [False, None, None, None],
    ]
