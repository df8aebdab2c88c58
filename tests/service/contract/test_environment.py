"""Settings that are not accepted, in every process: one line with the variable, its value and what is accepted; exit 2."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import service.local.__main__ as local
import worker.doctor.__main__ as doctor
from models.cards import WEIGHTS
from service import main as service_main
from service.contract.environment import INVALID, redis_url, require_model
from service.contract.listening import listening_address
from worker import main as worker_main

BOTH = ("service", "worker", "doctor", "local")
OF_WORKER = ("worker", "doctor")
OF_SERVICE = ("service", "local")
SHIPPED = sorted(folder.name for folder in WEIGHTS.iterdir())
STARTING = ("service", "worker", "local")
"""All but the doctor, which has a finding about the model."""

COMMANDS: dict[str, Callable[[], int]] = {
    "service": service_main.main,
    "worker": worker_main.main,
    "doctor": doctor.main,
    "local": local.main,
}
URL = "redis://HOST:PORT/0"
CASES = [
    (OF_WORKER, "SPN_THREADS", "0", "'0' is not accepted: expected an integer from 1 to 256"),
    (OF_WORKER, "SPN_THREADS", "-1", "'-1' is not accepted: expected an integer from 1 to 256"),
    (OF_WORKER, "SPN_THREADS", "abc", "'abc' is not accepted: expected an integer from 1 to 256"),
    (OF_WORKER, "SPN_THREADS", "1.5", "'1.5' is not accepted: expected an integer from 1 to 256"),
    (OF_WORKER, "SPN_CAPACITY", "1", "'1' is not accepted: expected an integer from 4 to 4096"),
    (OF_WORKER, "SPN_DEVICE", "tpu", "'tpu' is not accepted: expected cpu, cuda or cuda:N"),
    (OF_WORKER, "SPN_DEVICE", "cuda:x", "'cuda:x' is not accepted: expected cpu, cuda or cuda:N"),
    (OF_WORKER, "SPN_COMPILE", "perhaps", "'perhaps' is not accepted: expected 1 or 0"),
    (OF_WORKER, "SPN_LEASE_SECONDS", "nan", "'nan' is not accepted: expected a number from 1 to 600"),
    (OF_WORKER, "SPN_METRICS_PORT", "70000", "'70000' is not accepted: expected an integer from 0 to 65535"),
    (
        OF_WORKER,
        "SPN_HEARTBEAT_SECONDS",
        "3",
        "3 is not accepted: expected at most a quarter of SPN_LEASE_SECONDS=8, that is 2",
    ),
    (BOTH, "SPN_LOG_FORMAT", "xml", "'xml' is not accepted: expected text or json"),
    (BOTH, "SPN_REDIS_URL", "localhost:6379", f"'localhost:6379' is not accepted: expected {URL}"),
    (BOTH, "SPN_REDIS_URL", "redis://:secret@h:70000/0", "'redis://***@h:70000/0' is not accepted: the port"),
    (
        BOTH,
        "SPN_REDIS_URL",
        "sentinel://h:26379/main",
        f"expected the primary's URL, {URL}: Redis Sentinel is not supported",
    ),
    (OF_SERVICE, "SPN_HOST", "192.0.2.1", "'192.0.2.1' is not accepted: expected an address of this machine, such as"),
    (OF_SERVICE, "SPN_HOST", "a..b", "'a..b' is not accepted: expected an address of this machine, such as"),
    (OF_SERVICE, "SPN_HOST", "[::1]", "'[::1]' is not accepted: expected an address of this machine, such as"),
    (OF_WORKER, "SPN_METRICS_HOST", "192.0.2.1", "'192.0.2.1' is not accepted: expected an address of this machine"),
    (STARTING, "SPN_MODELS", "/none", "'/none' is not accepted: expected a folder that has one folder for each model"),
    (STARTING, "SPN_MODEL", "gone", f"'gone' is not accepted: expected {' or '.join(SHIPPED)}, in SPN_MODELS='"),
    (OF_SERVICE, "SPN_PORT", "70000", "'70000' is not accepted: expected an integer from 1 to 65535"),
    (OF_SERVICE, "SPN_QUEUE_BOUND", "many", "'many' is not accepted: expected an integer from 1 to 1000000"),
    (OF_SERVICE, "SPN_REAPER_SECONDS", "0", "'0' is not accepted: expected a number from 0.1 to 60"),
    (OF_SERVICE, "SPN_CORS_ORIGINS", "*", "'*' is not accepted: expected origins like"),
    (OF_SERVICE, "SPN_HOSTS", "http://studio.example", "is not accepted: expected names like studio.example"),
    (OF_SERVICE, "SPN_HOSTS", "studio.example:8000", "is not accepted: expected names like studio.example"),
    (OF_SERVICE, "SPN_HOSTS", "*", "is not accepted: expected names like studio.example"),
    (OF_SERVICE, "SPN_SECRET", "short-secret", "(hidden) is not accepted: "),
    (OF_SERVICE, "SPN_KEYS", "studio:spn_secret-key", "(hidden) is not accepted: studio: expected the sha256 of a key"),
    (OF_SERVICE, "SPN_WEBHOOK_SECRET", "whsec_secret", "(hidden) is not accepted: "),
    (("local",), "PORT", "70000", "'70000' is not accepted: expected an integer from 1 to 65535"),
    (("local",), "PORT", "abc", "'abc' is not accepted: expected an integer from 1 to 65535"),
]


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a process would start after all."""
    for module, name in ((worker_main, "run"), (service_main, "create_app"), (doctor, "examine"), (local, "run")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("it starts"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["command"])


@pytest.mark.parametrize(("process", "case"), [(process, case) for processes, *case in CASES for process in processes])
def test_a_setting_that_is_not_accepted_is_one_line_and_exit_status_2(
    process: str, case: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the process; secrets and passwords are not repeated."""
    variable, value, line = case
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        COMMANDS[process]()
    assert ended.value.code == INVALID
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{variable}=")
    assert line in printed.err
    assert printed.err.count("\n") == 1
    assert "secret" not in printed.err


def test_every_setting_that_is_not_accepted_has_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So one start is enough to find all mistakes."""
    monkeypatch.setenv("SPN_THREADS", "0")
    monkeypatch.setenv("SPN_DEVICE", "tpu")
    with pytest.raises(SystemExit):
        worker_main.main()
    assert {line.partition("=")[0] for line in capsys.readouterr().err.splitlines()} == {"SPN_THREADS", "SPN_DEVICE"}


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://:p@h:6379/0",
        "redis://u:p%40@h/3?socket_timeout=2",
        "unix:///tmp/redis.sock?db=2",
        "redis://[::1]:6379/0",
        "rediss://h:6379/0?ssl_cert_reqs=none",
    ],
)
def test_every_url_of_one_redis_is_accepted(url: str) -> None:
    """With a password, TLS, a socket, or options of redis-py."""
    assert redis_url(url) == url


@pytest.mark.parametrize(
    "url",
    ["redis://", "redis:/h", "http://h", "redis://h/abc", "redis://h?foo=1", "redis://a:1,b:2/0", "redis+sentinel://h"],
)
def test_any_other_url_is_refused(url: str) -> None:
    """Before a client fails at its first command."""
    with pytest.raises(ValueError, match="expected"):
        redis_url(url)


def test_a_folder_without_models_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a volume that is mounted at another place."""
    monkeypatch.setenv("SPN_MODELS", str(tmp_path))
    with pytest.raises(SystemExit):
        worker_main.main()
    line = f"expected a folder with a card.json, and there is none, in SPN_MODELS='{tmp_path}'\n"
    assert capsys.readouterr().err.endswith(line)


def test_a_folder_that_may_not_be_read_is_left_to_the_reader_of_cards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That says that permission is denied. Root may read everything, so here the system's answer is replaced."""

    def denied(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", denied)
    require_model(tmp_path, "symbols-64")


def test_a_port_that_is_taken_is_one_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Exit status 1, because the setting itself is fine."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("SPN_PORT", str(port))
        assert service_main.main() == 1
    assert caplog.messages == [f"cannot listen on 127.0.0.1:{port}: Address already in use; change SPN_PORT"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::", "localhost"])
def test_addresses_of_this_machine_are_accepted(host: str) -> None:
    """Also all of them, and a name."""
    assert listening_address(host) == host
