"""The playground and the documentation need no other host."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from service.app import PAGE
from service.settings import ServiceSettings
from tests.harness.serving import serving

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

COMMENTS = re.compile(r"/\*.*?\*/|<!--.*?-->|^\s*//.*?$", re.DOTALL | re.MULTILINE)
NAMESPACES = re.compile(r"http://www\.w3\.org/[\w/]+")
ELSEWHERE = re.compile(r"""(?:https?:|wss?:|url\(\s*["']?)//[^\s"'`)]*|["'`(]//[\w.-]+\.[^\s"'`)]*""")


@pytest.fixture(scope="module")
def client(models: Path) -> Iterator[httpx.Client]:
    """A caller of an app that needs no Redis for its pages."""
    settings = ServiceSettings(redis_url="redis://127.0.0.1:1/0", models=models, model="toy", reaper_seconds=60)
    with serving(settings) as url, httpx.Client(base_url=url) as http:
        yield http


class Links(HTMLParser):
    """The addresses that a page loads or leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect them."""
        self.found += [value for name, value in attrs if name in {"href", "src", "action", "srcset"} and value]


def elsewhere(text: str) -> list[str]:
    """Absolute addresses outside of comments, but for XML namespaces."""
    return ELSEWHERE.findall(NAMESPACES.sub("", COMMENTS.sub("", text)))


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_names_no_other_host_and_all_it_loads_is_here(path: str, client: httpx.Client) -> None:
    """Scripts, styles, pictures and links."""
    page = client.get(path).raise_for_status().text
    assert elsewhere(page) == []
    links = [link for link in Links(page).found if not link.startswith("#")]
    assert len(links) >= 3
    assert {link: client.get(link).status_code for link in links} == dict.fromkeys(links, 200)


@pytest.mark.parametrize("file", sorted(path.name for path in PAGE.iterdir() if path.suffix != ".webp"))
def test_no_file_of_the_page_names_another_host(file: str) -> None:
    """Neither code nor style nor picture."""
    assert elsewhere((PAGE / file).read_text()) == []


@pytest.mark.parametrize(
    "text",
    ['<img src="https://cdn.example/x.png">', "@import url(//fonts.example/a.css)", 'fetch("http://there.example")'],
)
def test_an_address_elsewhere_would_be_noticed(text: str) -> None:
    """In HTML, in CSS and in JavaScript."""
    assert elsewhere(text)


def test_the_documentation_knows_the_description_s_version(client: httpx.Client) -> None:
    """OpenAPI 3.1 needs Swagger UI 5; an older one shows an error in place of the endpoints."""
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1.")
    assert 'PACKAGE_VERSION:"5.' in client.get("/docs/assets/swagger-ui-bundle.js").text


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
@pytest.mark.parametrize(("path", "shown"), [("/docs", 'data-path="/generate"'), ("/", "slow")])
def test_a_browser_without_network_shows_the_page(path: str, shown: str, client: httpx.Client) -> None:
    """Names of other hosts do not even resolve, and still the endpoints, or the models on offer, are there."""
    offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", offline, "--virtual-time-budget=5000"]
    page = f"{client.base_url}".rstrip("/") + path
    done = subprocess.run([*command, "--dump-dom", page], capture_output=True, text=True, timeout=90, check=True)
    assert "Unable to render" not in done.stdout
    assert shown in done.stdout
