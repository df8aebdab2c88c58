"""The process that renders exports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import asyncio, os, signal
from service.vector.exporter import Exporter
if __name__ == "__main__":
    exporter = Exporter()
    print(asyncio.run(exporter._submitted(os.getpid)), flush=True)
    signal.pause()
"""


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL runs no clean-up in the parent."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 30
    while is_alive(child) and time.monotonic() < until:
        time.sleep(0.05)
    if is_alive(child):
        os.kill(child, signal.SIGKILL)
        raise AssertionError


def is_alive(process: int) -> bool:
    """Return whether a process runs. One that ended and was not reaped does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
