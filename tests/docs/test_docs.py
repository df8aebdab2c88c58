"""The quick starts of docs/, every fenced block of them, run as they stand against the real parts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from service.api_keys import KeyHash, sha256_of
from service.settings import ServiceSettings
from tests.harness.launcher import LocalService, eager, working
from tests.harness.serving import serving

ROOT = Path(__file__).parents[2]
SERVER = "http://127.0.0.1:8000"
RUN_SECONDS = 300
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def blocks(page: str, language: str | None = None) -> list[str]:
    """The fenced blocks of a page, in order; of one language, if asked for."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs" / f"{page}.md").read_text(), re.DOTALL | re.MULTILINE)
    return [text for tongue, text in found if language in {None, tongue}]


def ran(command: list[str], folder: Path, **settings: str) -> str:
    """What a command that succeeds prints, run in `folder` with this checkout and this Python at hand."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment(**settings: str) -> dict[str, str]:
    """As after `source .venv/bin/activate` in a checkout."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, "OMP_NUM_THREADS": "1", **settings}


@pytest.fixture(scope="module")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of another origin than the API's, and the folder it serves."""
    folder = tmp_path_factory.mktemp("pages")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def url(redis_url: str, models: Path, page_server: tuple[str, Path]) -> Iterator[str]:
    """An API and a worker, as the quick start for the web has them."""
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy", cors_origins=(page_server[0],))
    with working(eager(redis_url, models, "toy")), serving(settings) as at:
        yield at


def test_every_block_is_of_a_kind_that_is_run() -> None:
    """So that no snippet is added to a page and forgotten here."""
    counts = {
        (page.stem, tongue): len(blocks(page.stem, tongue))
        for page in (ROOT / "docs").glob("quickstart-*.md")
        for tongue in re.findall(r"^```(\w+)", page.read_text(), re.MULTILINE)
    }
    assert counts == {
        ("quickstart-web", "js"): 1,
        ("quickstart-web", "html"): 1,
        ("quickstart-operator", "sh"): len([*of_docker(), *of_shell()]),
        ("quickstart-researcher", "python"): 1,
        ("quickstart-researcher", "sh"): 4,
    }


def of_docker() -> list[str]:
    """The operator's blocks for a Docker engine. Those without a profile are what tests/docker/test_compose_stack.py does."""
    return [block for block in blocks("quickstart-operator") if "docker compose" in block]


def of_shell() -> list[str]:
    """The others."""
    return [block for block in blocks("quickstart-operator") if "docker compose" not in block]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_readmes_curls_save_a_finished_image(url: str, tmp_path: Path) -> None:
    """The first waits until the job has ended, so that the second never saves a partial image."""
    [commands] = re.findall(r"^    job=.*\n(?:    .*\n)+", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert "Prefer: wait=30" in commands
    ran(["sh", "-e", "-c", commands.replace("localhost:8000", url.removeprefix("http://"))], tmp_path)
    final = httpx.get(f"{url}/jobs").json()["jobs"][0]["images"][0]
    assert (final["final"], final["seed"]) == (True, 7)
    assert (tmp_path / "a.png").read_bytes() == httpx.get(url + final["url"], params={"scale": 8}).content


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, the JavaScript runtime")
def test_the_web_developers_polling_ends_in_a_picture(url: str, tmp_path: Path) -> None:
    """With nothing but fetch."""
    (tmp_path / "poll.mjs").write_text(blocks("quickstart-web", "js")[0].replace(SERVER, url))
    told = ran(["node", "poll.mjs"], tmp_path).splitlines()
    assert told[-2].startswith("succeeded 1 /jobs/")
    assert told[-1] == "image/webp true"


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("key", ["", "studio-key"])
def test_the_web_developers_page_shows_finished_icons(
    key: str, url: str, redis_url: str, models: Path, page_server: tuple[str, Path]
) -> None:
    """From another origin, in a real browser, with and without keys; a refusal is shown."""
    origin, folder = page_server
    keys = (KeyHash(name="studio", sha256=sha256_of(key)),) if key else ()
    settings = ServiceSettings(redis_url=redis_url, models=models, model="toy", keys=keys, cors_origins=(origin,))
    with serving(settings) as keyed:
        app = blocks("quickstart-web", "html")[0].replace(SERVER, keyed if key else url)
        (folder / "icons.html").write_text(app.replace('key = ""', f'key = "{key}"'))
        finish_icons(f"{origin}/icons.html")


def finish_icons(address: str) -> None:
    """Submit an unknown subject, then one that the model has, and see four images."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(address)
        page.get_by_role("button", name="Generate").click()
        expect(page.get_by_role("status")).to_contain_text("rocket")
        page.get_by_label("Subject").fill("A")
        page.get_by_role("button", name="Generate").click()
        expect(page.get_by_role("status")).to_have_text("succeeded", timeout=60_000)
        page.wait_for_function("[...document.images].filter((image) => image.naturalWidth > 0).length === 4")
        browser.close()


@pytest.mark.parametrize("block", of_shell())
def test_the_operators_commands_succeed(block: str, url: str, tmp_path: Path) -> None:
    """Those that need no Docker; beside `.env.example`, as in a checkout."""
    shutil.copy(ROOT / ".env.example", tmp_path)
    assert ran(["sh", "-e", "-c", block.replace(SERVER, url)], tmp_path)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_examples_of_the_api_page_succeed(url: str, tmp_path: Path) -> None:
    """All in one shell: later ones use the job of the first."""
    ran(["sh", "-e", "-c", "".join(blocks("api", "sh")).replace(SERVER, url)], tmp_path)
    assert (tmp_path / "A-7.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "A-7-first.webp").read_bytes().startswith(b"RIFF")


def test_the_researchers_pictures_become_a_served_model(tmp_path: Path) -> None:
    """From a folder of images to a picture by HTTP."""
    train, ship, serve, ask = blocks("quickstart-researcher", "sh")
    ran([sys.executable, "-c", blocks("quickstart-researcher", "python")[0]], tmp_path)
    ran(["sh", "-e", "-c", train], tmp_path)
    assert "JPEG XL" in ran(["sh", "-e", "-c", ship], tmp_path)
    assert (tmp_path / "mine" / "symbols-32" / "sheet.png").is_file()
    with LocalService(tmp_path, {}, command=serve) as service:
        assert '"status":"succeeded"' in ran(["sh", "-e", "-c", ask.replace(SERVER, service.url)], tmp_path)
