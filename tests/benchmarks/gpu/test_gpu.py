"""`make gpu` on a CPU: each section with a toy, and what becomes of one that fails or hangs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import ceilings, exactness, sampling, training
from benchmarks.gpu import section as shared
from benchmarks.gpu.__main__ import Section
from models.config import Stage
from models.sampling.backends.eager import EagerBackend

Findings = list[dict[str, Any]]


def findings(
    section: ModuleType, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Findings:
    """Return what a section reports of the toy; it succeeds."""
    monkeypatch.setattr(sys, "argv", ["section", "--device", "cpu", "--model", str(models / "toy")])
    monkeypatch.setattr(shared, "Fastest", lambda _: EagerBackend)
    assert not section.main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_device_has_ceilings(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = findings(ceilings, models, monkeypatch, capsys)
    assert found["product_flops_per_second"] > 1e6 < found["read_bytes_per_second"]


def test_every_network_is_exact(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fixed points, alone as in a batch, resumed as uninterrupted; another process that differs is found."""
    monkeypatch.setattr(exactness, "another_digest", lambda _: {"numerics": "other"})
    monkeypatch.setattr(exactness, "digest", lambda _: {"numerics": "other"})
    *networks, processes = findings(exactness, models, monkeypatch, capsys)
    assert [found["stage"] for found in networks[::2]] == ["base", "size", "depth"]
    assert [found["fixed_points"] for found in networks[::2]] == [8, 8, 8]
    assert {(found["backend"], found["alone"], found["resumed"]) for found in networks[1::2]} == {("serving", 0, 0)}
    assert processes["processes"] == 0


def test_slices_that_differ_are_counted(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel whose second shape has other numbers is not exact."""
    chosen = shared.SectionOptions(device="cpu", model=models / "toy")
    monkeypatch.setattr(shared, "Fastest", lambda _: EagerBackend)
    first, second = (exactness.pipelines(chosen)["serving"] for _ in range(2))
    for parameter in second.networks.parameters():
        parameter.data.neg_()
    states = shared.middle_states(first.card, Stage.DEPTH, exactness.ROWS)
    assert exactness.differing(first, states, None) == {"alone": 0, "resumed": 0}
    assert exactness.differing(first, states, first)["shapes"] == 0
    assert exactness.differing(first, states, second)["shapes"] > 0


def test_a_batch_is_measured(models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure of the table is there, and positive."""
    (found,) = findings(sampling, models, monkeypatch, capsys)
    assert found["batch"] == 1
    assert found["images_per_second"] * found["seconds_per_image"] == pytest.approx(1)
    assert all(found[name] > 0 for name in ("ms_per_pass", "passes", "share_of_products", "share_of_reads"))


def test_a_backend_that_fails_leaves_the_other(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its error is a finding; without any backend that runs the section fails."""

    def fails(_: object) -> EagerBackend:
        raise RuntimeError("this torch has no such option")

    every: dict[str, Any] = {"serving": fails, "persistent": EagerBackend}
    monkeypatch.setattr(sampling, "backends", lambda: every)
    failed, measured = findings(sampling, models, monkeypatch, capsys)
    assert (failed["backend"], failed["error"]) == ("serving", "RuntimeError: this torch has no such option")
    assert (measured["backend"], measured["images_per_second"] > 0) == ("persistent", True)
    every["persistent"] = fails
    with pytest.raises(SystemExit, match="no backend could be measured"):
        findings(sampling, models, monkeypatch, capsys)


def test_training_of_every_network_is_measured(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = findings(training, models, monkeypatch, capsys)
    assert [each["stage"] for each in found] == ["depth", "size", "base"]
    assert all(each["slices_per_second"] > 0 for each in found)


def test_a_section_that_fails_or_hangs_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it found before counts; one for which no time is left does not start. All of it is in the file."""
    package = tmp_path / "benchmarks" / "gpu"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    finding = "print('{\"found\": 1}', flush=True)\n"
    (package / "hangs.py").write_text(f"import time\n{finding}time.sleep(600)\n")
    (package / "fails.py").write_text(f"{finding}raise ValueError('as a test')\n")
    (package / "succeeds.py").write_text(finding)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sections = [
        Section(module=name, seconds=seconds) for name, seconds in (("fails", 60), ("succeeds", 60), ("hangs", 5))
    ]
    monkeypatch.setattr(command, "SECTIONS", [*sections, Section(module="late", seconds=0)])
    monkeypatch.setattr(sys, "argv", ["gpu", "--json", str(tmp_path / "found.json")])
    assert command.main() == 1
    found = json.loads((tmp_path / "found.json").read_text())["sections"]
    assert json.loads(capsys.readouterr().out)["sections"] == found
    assert [found[name]["findings"] for name in found] == [[{"found": 1}]] * 3 + [[]]
    assert [found[name]["status"] for name in found] == [1, 0, -9, None]
    assert "ValueError: as a test" in found["fails"]["errors"]
    assert "ended after 5 s" in found["hangs"]["errors"]


def test_all_sections_exist_and_fit_into_nine_minutes() -> None:
    package = Path(command.__file__).parent
    assert all((package / f"{section.module}.py").is_file() for section in command.SECTIONS)
    assert command.MINUTES < 9
