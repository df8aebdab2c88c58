"""docker/nginx.conf under a real nginx of this machine."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import httpx

from service.local.processes import free_port

CONFIG = Path(__file__).parents[2] / "docker" / "nginx.conf"
NGINX = which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")


@contextmanager
def nginx(folder: Path, *upstreams: str, **cells: str) -> Iterator[str]:
    """The address of an nginx in front of the APIs at `upstreams`; those of `cells` answer for the jobs of a cell, `_00`.

    Of its configuration only places are changed.
    """
    port = free_port()
    text = CONFIG.read_text()
    for shipped, here in {
        "listen 8080": f"listen 127.0.0.1:{port}",
        "/tmp/": f"{folder}/",  # noqa: S108 - the container's
    }.items():
        assert shipped in text
        text = text.replace(shipped, here)
    servers = "".join(f"server {place(each)};" for each in upstreams)
    named = "".join(f"{cell.removeprefix('_')} {place(each)};" for cell, each in cells.items())
    (folder / "names.conf").write_text(
        f"upstream every_api {{ {servers} }}\n"
        'map "" $any_api { default every_api; }\n'
        f'map $cell $api {{ "" every_api; {named} default 127.0.0.1:1; }}\n'
    )
    own = "user root;\n" if os.getuid() == 0 else ""  # as in the container, it stays who it is
    (folder / "nginx.conf").write_text(own + text)
    command = [str(NGINX), "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    server = subprocess.Popen(command)
    try:
        answering(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def place(url: str) -> str:
    """Host and port of a URL."""
    return httpx.URL(url).netloc.decode()


def answering(url: str, server: subprocess.Popen[bytes]) -> None:
    """Returns once it does."""
    deadline = time.monotonic() + 10
    while True:
        try:
            httpx.get(url)
        except httpx.TransportError:
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
