"""What a worker refuses to start with: one line with the reason, and the exit status."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.pipeline import Pipeline
from service.contract.environment import INVALID
from tests.harness.launcher import eager
from worker import main as worker_main
from worker.errors import BoardTooLargeError
from worker.main import serve

Start = Callable[..., int]


@pytest.fixture
def start(redis_url: str, models: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Run the worker's `main` for the model `slow` with other settings; it never comes to serving."""
    monkeypatch.setattr(worker_main, "serve", lambda *_: pytest.fail("it serves"))

    def run(**settings: str) -> int:
        for name, value in {**eager(redis_url, models, "slow", CAPACITY="4"), **settings}.items():
            monkeypatch.setenv(f"SPN_{name}", value)
        return worker_main.main()

    return run


def test_a_model_that_does_not_run_is_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a GPU a kernel may be missing for a model that loads well."""

    def fail(_pipeline: Pipeline, _states: object) -> None:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(worker_main, "serve", serve)
    monkeypatch.setattr(Pipeline, "advance", fail)
    assert start() == 1
    assert "slow does not run on this device: RuntimeError('no kernel image')" in caplog.text


def test_a_folder_that_is_not_named_as_its_card_is_refused(
    start: Start, models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its jobs would wait in the queue of the card's name."""
    shutil.copytree(models / "slow", tmp_path / "slow-2")
    assert start(MODELS=str(tmp_path), MODEL="slow-2") == 1
    (line,) = caplog.messages
    assert line == "slow-2/card.json has the name 'slow': rename the folder, or the model in its card"


def test_a_folder_of_compiled_code_that_cannot_be_written_is_refused(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a checkout that is read-only; root may write to any folder, so here a file is in its place."""
    (tmp_path / "cache").touch()
    assert start(COMPILE="1", ARTEFACTS=str(tmp_path / "cache" / "passes")) == 1
    (line,) = caplog.messages
    assert line == f"{tmp_path}/cache/passes: Not a directory; SPN_ARTEFACTS must be a folder that can be written"


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("20 GiB"), MemoryError("20 GiB")], ids=repr)
def test_a_model_that_does_not_fit_in_memory_is_refused(
    start: Start, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the setting that helps."""

    def fail(*_: Any, **__: Any) -> None:  # noqa: ANN401 - any arguments
        raise error

    monkeypatch.setattr(Pipeline, "load", fail)
    assert start() == 1
    (line,) = caplog.messages
    assert line == "slow does not fit in memory; set SPN_CAPACITY to less: 20 GiB"


def test_a_metrics_port_in_use_is_refused(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """By its number."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert start(METRICS_PORT=str(port)) == 1
    assert f"metrics cannot be served on 127.0.0.1:{port}: Address already in use" in caplog.messages[-1]


def test_a_device_that_torch_does_not_have_is_a_setting_that_is_not_accepted(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """It says how many there are."""
    count = torch.cuda.device_count()
    assert start(DEVICE=f"cuda:{count}") == INVALID
    (line,) = caplog.messages
    assert line.startswith(f"SPN_DEVICE=cuda:{count} is not accepted: torch {torch.__version__} sees {count} CUDA")


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:1", 1)])
def test_the_device_is_selected_before_the_model_is_loaded(
    start: Start, device: str, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams, graphs and measurements of the capacity use the current device, and the first is the wrong one."""
    calls: list[object] = []

    def load(*_: Any, **__: Any) -> None:  # noqa: ANN401 - any arguments
        calls.append("load")
        raise MemoryError

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.setattr(Pipeline, "load", load)
    assert start(DEVICE=device) == 1
    assert calls == [index, "load"]


def test_a_gpu_without_enough_memory_serves_with_half_the_capacity(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Again and again, down to one row; the log says so. Then the worker ends with one line."""
    capacities: list[int] = []

    def full(_settings: object, pipeline: Pipeline, _metrics: object) -> bool:
        capacities.append(pipeline.capacity)
        raise BoardTooLargeError("as a test")

    monkeypatch.setattr(worker_main, "serve", full)
    assert start(CAPACITY="16") == 1
    assert capacities == [16, 8, 4, 2, 1]
    assert "out of memory, loading slow again with a capacity of 8: as a test" in caplog.messages
    assert caplog.messages[-1] == "not even one row of slow fits in memory: as a test"


def test_a_rehearsal_without_enough_memory_is_no_reason_to_end(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A smaller capacity may serve."""

    def full(pipeline: Pipeline, _states: object) -> None:
        raise torch.OutOfMemoryError(f"{pipeline.capacity} rows")

    monkeypatch.setattr(worker_main, "serve", serve)
    monkeypatch.setattr(Pipeline, "advance", full)
    assert start(CAPACITY="4") == 1
    assert caplog.messages[-1] == "not even one row of slow fits in memory: 1 rows"
