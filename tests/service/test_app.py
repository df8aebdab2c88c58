"""The service process as a whole."""

from __future__ import annotations

import subprocess
import sys


def test_the_service_has_no_torch() -> None:
    """An API host needs neither torch nor any part of models/ that stands on it."""
    code = "import sys, service.main; print([m for m in sys.modules if m == 'torch' or m.startswith('worker')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_an_api_process_runs_on_uvloop_and_hiredis() -> None:
    """Both are chosen because they are installed. Without them a poll cost half as much again."""
    code = "import uvicorn, redis.connection as r; print(uvicorn.Config('').get_loop_factory().__module__, r.DefaultParser)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "uvloop" in ran.stdout
    assert "HiredisParser" in ran.stdout
