"""API processes as an operator runs them, on ports of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from service.local.processes import free_port

START_SECONDS = 30


class ApiProcess:
    """`python -m service.main`, which can be killed and started again on the same port."""

    def __init__(self, redis_url: str, models: Path, model: str, settings: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        own = {"REDIS_URL": redis_url, "MODELS": str(models), "MODEL": model, "PORT": str(self.port)}
        chosen = {f"SPN_{name}": value for name, value in {**own, **(settings or {})}.items()}
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **chosen}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns once it answers."""
        command = [sys.executable, "-m", "service.main"]
        self._process = subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, as the kernel does it when memory runs out."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").is_success
        except httpx.TransportError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
