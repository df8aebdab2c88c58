"""`make serve`: how it ends, and what it says when it cannot start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from service.local.processes import LocalError, checked_port, free_port, locked
from tests.harness.launcher import LocalService, until

PARENT = (
    "import time\n"
    "from service.local.children import Child\n"
    "with Child(['sleep', '600']) as child:\n"
    "    print(child._process.pid, flush=True)\n"
    "    time.sleep(600)\n"
)
"""A process with one child."""


def gone(process: psutil.Process) -> bool:
    """Return whether a process has ended, collected by its parent or not."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_a_child_ends_with_its_parent_also_when_that_is_killed() -> None:
    """SIGKILL gives the parent no chance to end its children: the kernel does."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout
            child = psutil.Process(int(parent.stdout.readline()))
            assert not gone(child)
        finally:
            parent.kill()
    until(lambda: gone(child))


@pytest.fixture
def hangups() -> Iterator[None]:
    """SIGHUP is not ignored, as it is below nohup, which is inherited."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangups")
def test_a_closed_terminal_ends_all_processes_and_a_proxy_is_not_asked(models: Path, tmp_path: Path) -> None:
    """SIGHUP is as SIGTERM. With `http_proxy` set the service becomes ready all the same, and says its address last."""
    log = tmp_path / "log"
    settings = {"MODELS": str(models), "MODEL": "toy", "COMPILE": "0"}
    proxy = "http_proxy=http://127.0.0.1:1 make serve"
    with LocalService(tmp_path, settings, command=proxy, log=log) as service:
        until(lambda: "Ready." in log.read_text(), service)
        told = log.read_text().splitlines()
        children = psutil.Process(service.pid).children(recursive=True)
        service.send(signal.SIGHUP)
        assert service.exit_code(within_seconds=60) == 0
    assert f"Ready. Open {service.url} in a browser; stop with Ctrl-C." in told
    assert len(children) >= 4, "Redis, the API and two workers"
    assert all(map(gone, children))


def test_a_taken_port_names_the_process_that_holds_it() -> None:
    """And how to stop it, and how to choose another port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalError) as refused:
            checked_port(port)
    assert f"Port {port} is taken by process {os.getpid()} (" in str(refused.value)
    assert f"PORT={port % 65535 + 1} make serve" in str(refused.value)


def test_a_port_of_nobody_known_is_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the holder is another user's process."""
    monkeypatch.setattr("service.local.processes.listener_of", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(LocalError, match="is taken"):
        checked_port(taken.getsockname()[1])


def test_a_free_port_is_accepted() -> None:
    """Unchanged."""
    port = free_port()
    assert checked_port(port) == port


def test_a_second_run_in_one_folder_names_the_first(tmp_path: Path) -> None:
    """Two Redis on one append-only file would ruin it."""
    with locked(tmp_path), pytest.raises(LocalError, match=f"Process {os.getpid()} already uses"):
        locked(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file in its place, here: root may write to any folder."""
    (tmp_path / "data").write_text("")
    with pytest.raises(LocalError, match="Start in a folder that you can write to"):
        locked(tmp_path / "data")
