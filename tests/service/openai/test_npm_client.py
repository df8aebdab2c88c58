"""The official `openai` package of npm, unmodified, against the real app: `npm install openai`, and NODE_PATH if not global."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from PIL import Image

from service.api_keys import KeyHash, sha256_of
from service.settings import ServiceSettings
from tests.harness.painting import painting
from tests.harness.serving import serving

SECONDS = 60
DOCUMENT = Path(__file__).parents[3] / "docs" / "openai.md"
SERVER = "http://127.0.0.1:8000"
SCRIPT = """
const { OpenAI } = require("openai");
const assert = require("node:assert/strict");

async function main() {
  const client = new OpenAI({ baseURL: process.env.SERVER + "/v1", apiKey: "key", maxRetries: 0 });
  const prompt = "a blue letter A on a circle";

  const plain = await client.images.generate({ model: "toy", prompt, size: "128x128", output_format: "webp", n: 2 });
  assert.equal(plain.data.length, 2);
  assert.equal(plain.data[0].revised_prompt, "the letter A, hue blue, tile circle");
  assert.equal(Buffer.from(plain.data[0].b64_json, "base64").subarray(8, 12).toString(), "WEBP");

  const { data: [linked] } = await client.images.generate({ prompt, response_format: "url", size: "64x64" });
  assert.equal((await fetch(linked.url)).headers.get("content-type"), "image/png");

  const types = [];
  for await (const event of await client.images.generate({ prompt, stream: true, partial_images: 2, size: "64x64" })) {
    assert.equal(Buffer.from(event.b64_json, "base64").subarray(1, 4).toString(), "PNG");
    types.push(event.type);
  }
  const partial = "image_generation.partial_image";
  assert.deepEqual(types, [partial, partial, "image_generation.completed"]);

  await assert.rejects(client.images.generate({ prompt: "a fluffy A" }), (error) => {
    assert(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "prompt");
    assert.match(error.message, /'fluffy' is not understood/);
    return true;
  });
  await assert.rejects(new OpenAI({ baseURL: client.baseURL, apiKey: "x" }).models.list(), OpenAI.AuthenticationError);

  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.deepEqual(names, ["toy", "slow"]);
  assert.equal((await client.models.retrieve("toy")).object, "model");
}

main().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.fixture(scope="module")
def node() -> dict[str, str]:
    """The environment in which Node finds the package. Skips without npm or the package."""
    if not (shutil.which("node") and (npm := shutil.which("npm"))):
        pytest.skip("needs Node and npm")
    found = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=True, timeout=SECONDS)
    paths = os.pathsep.join(filter(None, (os.environ.get("NODE_PATH"), found.stdout.strip())))
    environment = {**os.environ, "NODE_PATH": paths}
    if not any((Path(folder) / "openai").is_dir() for folder in paths.split(os.pathsep)):
        pytest.skip("needs the package: npm install --global openai")
    return environment


@pytest.fixture
def server(store: redis.Redis, redis_url: str, models: Path) -> Iterator[str]:
    """The app for the model `toy`, with a key, and a worker."""
    assert store.dbsize() == 0
    keys = (KeyHash(name="studio", sha256=sha256_of("key")),)
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy", keys=keys)
    with serving(settings) as url, painting(redis_url):
        yield url


def test_the_package_of_npm_works(node: dict[str, str], server: str, tmp_path: Path) -> None:
    """Plain, with URLs, streamed; errors; models."""
    done = run(["-e", SCRIPT], {**node, "SERVER": server}, tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_snippet_of_the_documentation_works(node: dict[str, str], server: str, tmp_path: Path) -> None:
    """docs/openai.md, as CommonJS: only that has NODE_PATH."""
    (text,) = re.findall(r"^```js\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    head, tail = text.replace(SERVER, server).replace('"none"', '"key"').split("\n\n", 1)
    imports = re.sub(r"import (.+) from (.+);", r"const \1 = require(\2);", head)
    tail = tail.replace("a blue rounded icon of a house", "a blue A")
    script = f"{imports}\n(async () => {{ {tail} }})();"
    done = run(["-e", script], {**node, "SERVER": server}, tmp_path)
    assert done.returncode == 0, done.stderr
    for index in range(2):
        with Image.open(tmp_path / f"house-{index}.png") as image:
            assert image.size == (512, 512)


def run(arguments: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Node."""
    command = [str(shutil.which("node")), *arguments]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
    )
