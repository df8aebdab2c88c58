"""Whole runs as real processes: killed, stopped, and in parallel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.loop.run_journal import rows_of

WAIT_SECONDS = 300
TOY = "tests.harness.toy_run"
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")


def start(module: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a process of this repository."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **quiet)  # type: ignore[call-overload,no-any-return]


def state_of(path: Path) -> dict[str, Any]:
    """Load a checkpoint."""
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state


def wait_for_step(path: Path, step: int) -> None:
    """Wait until a checkpoint has reached a step."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not path.exists() or state_of(path)["step"] < step:
        assert time.monotonic() < deadline, f"no checkpoint of step {step} within {WAIT_SECONDS} s"
        time.sleep(0.05)


def curve(path: Path, *arguments: object, processes: int = 1) -> list[float]:
    """Return the bits/dim of thirty steps."""
    command = [TOY] if processes == 1 else [*TORCHRUN, TOY]
    run = start(*command, path, "--steps", 30, *arguments)
    assert run.wait(WAIT_SECONDS) == 0
    bits: list[float] = json.loads(path.read_text())
    return bits


def test_a_killed_run_continues_and_a_stopped_one_saves(tmp_path: Path) -> None:
    """A killed run leaves a complete checkpoint, from which the next run continues.

    On SIGTERM that one saves its last step and exits with status 0, and so does a third one on Ctrl-C.
    """
    path = tmp_path / "size.pt"
    run = start(TOY, path)
    wait_for_step(path, 10)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    reached = state_of(path)["step"]
    assert reached >= 10
    for number in (signal.SIGTERM, signal.SIGINT):
        run = start(TOY, path)
        wait_for_step(path, reached + 5)
        run.send_signal(number)
        assert run.wait(WAIT_SECONDS) == 0
        assert state_of(path)["step"] >= reached + 5
        reached = state_of(path)["step"]
        rows = rows_of(path.with_suffix(".csv"))
        assert rows[-1].step == reached
        assert [row.seconds for row in rows] == sorted(row.seconds for row in rows)


def test_two_processes_learn_as_one_does(tmp_path: Path) -> None:
    """Two processes with batch 4, and one with two minibatches of 4, have the loss curve of one process with batch 8.

    With another seed the curve is another.
    """
    one = curve(tmp_path / "one.json", "--batch", 8)
    two = curve(tmp_path / "two.json", "--batch", 4, processes=2)
    accumulated = curve(tmp_path / "accumulated.json", "--batch", 4, "--accumulate", 2)
    other = curve(tmp_path / "other.json", "--batch", 8, "--seed", 1)
    assert one[-1] < 0.8 * one[0]
    apart = np.abs(np.subtract(one, other)).max()
    for same in (two, accumulated):
        assert same == pytest.approx(one, rel=0.02)
        assert np.abs(np.subtract(one, same)).max() < apart / 4
