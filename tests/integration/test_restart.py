"""Clients that wait for a job while the server restarts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from service.contract.redis_keys import queued_key
from tests.harness.launcher import ApiServer, eager, until
from tests.harness.painting import painting

ROOT = Path(__file__).parents[2]
ENDS_SECONDS = 120

PYTHON = """
import sys
from service.client import Client

with Client(sys.argv[1], retry_seconds=100) as client:
    print(client.wait(client.generate(seed=1)).status)
"""

MODULE = """
import { Client } from "./client.mjs";

const client = new Client({ base: process.argv[2] });
console.log((await client.finished(await client.submit({ seed: 1 }))).status);
"""


@contextmanager
def started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A client that runs in `folder` with this checkout at hand."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def client_files(folder: Path, url: str) -> None:
    """Write the clients to `folder`: the server's module, and the documented loop for the server at `url`."""
    (folder / "client.mjs").write_text((ROOT / "service/page/client.js").read_text())
    (folder / "module.mjs").write_text(MODULE)
    [loop] = re.findall(r"^```js\n(.*?)^```", (ROOT / "docs/quickstart-web.md").read_text(), re.DOTALL | re.MULTILINE)
    (folder / "loop.mjs").write_text(loop.replace("http://127.0.0.1:8000", url))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, the JavaScript runtime")
def test_every_client_survives_a_restart(store: redis.Redis, redis_url: str, models: Path, tmp_path: Path) -> None:
    """The Python client, the JavaScript client and the documented loop: SIGTERM ends their waits, and they go on."""
    with ApiServer(eager(redis_url, models, "toy")) as api:
        client_files(tmp_path, api.url)
        with (
            started([sys.executable, "-c", PYTHON, api.url], tmp_path) as python,
            started(["node", "module.mjs", api.url], tmp_path) as module,
            started(["node", "loop.mjs"], tmp_path) as loop,
        ):
            clients = [python, module, loop]
            until(lambda: store.zcard(queued_key("toy")) == len(clients), api)
            assert len(httpx.get(f"{api.url}/jobs").json()["jobs"]) == len(clients)
            api.send(signal.SIGTERM)
            assert api.exit_code(within_seconds=60) is not None
            api.start()
            with painting(redis_url):
                outputs = [process.communicate(timeout=ENDS_SECONDS) for process in clients]
    assert [process.returncode for process in clients] == [0, 0, 0], outputs
    (python_output, _), (module_output, _), (loop_output, _) = outputs
    assert (python_output, module_output) == ("succeeded\n", "succeeded\n")
    assert "\nimage/webp true" in loop_output
