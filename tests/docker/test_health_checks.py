"""The health checks of the containers, run as commands: nothing on loopback goes through a proxy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml  # type: ignore[import-untyped]

from service.local.processes import free_port

ROOT = Path(__file__).parents[2]


class Healthy(BaseHTTPRequestHandler):
    """An API that answers 200 to everything."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """The port of an API on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def behind_a_proxy(command: list[str]) -> int:
    """Return the exit status of a health check where every request is to go through a proxy that does not answer."""
    dead = f"http://127.0.0.1:{free_port()}"
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"), dead)
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | proxies
    return subprocess.run(command, env=environment, check=False, timeout=60).returncode


def test_the_check_of_the_api_uses_no_proxy(port: int) -> None:
    """Docker passes its client's proxies on to containers."""
    found = re.search(r"HEALTHCHECK .* CMD (\[.*\])", (ROOT / "docker" / "api.Dockerfile").read_text())
    assert found
    _, *arguments = json.loads(found[1].replace("8000", str(port)))
    assert behind_a_proxy([sys.executable, *arguments]) == 0


@pytest.mark.skipif(not (shutil.which("curl") or shutil.which("busybox")), reason="needs curl or busybox")
def test_the_check_of_the_proxy_uses_no_proxy(port: int) -> None:
    """The image of nginx has busybox' wget, others have curl."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    _, command = services["proxy"]["healthcheck"]["test"]
    assert behind_a_proxy(["sh", "-c", command.replace("8080", str(port))]) == 0
