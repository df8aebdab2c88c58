"""The journal beside a checkpoint has no gaps or repetitions, however often its run was interrupted."""

from __future__ import annotations

import importlib.machinery
import time
from dataclasses import replace
from pathlib import Path

import pytest

from training.loop import run_journal
from training.loop.run_journal import JournalRow, RunJournal, StepReport, rows_of, write_rows

REPORT = StepReport(step=1, bits_per_dim=2.0, rate=1.0, slices=16, waited_seconds=0.0)


def test_rows_are_written_and_read(tmp_path: Path) -> None:
    """The reports of a run are in the file, up to its last step."""
    with RunJournal(tmp_path / "size.csv", "size", step=0, minutes=1) as journal:
        for step in range(1, 4):
            journal.add(replace(REPORT, step=step))
    (row,) = rows_of(tmp_path / "size.csv")
    assert (row.step, row.bits_per_dim, row.rate) == (3, 2.0, 1.0)
    assert row.slices_per_second > 0


def test_rows_past_the_checkpoint_go(tmp_path: Path) -> None:
    """A run killed after step 9 and resumed at step 5 keeps the rows up to 5; seconds and bits/dim continue."""
    row = JournalRow(step=5, seconds=50.0, bits_per_dim=1.0, rate=0.5, slices_per_second=1.0, waiting_share=0.0)
    write_rows([row, replace(row, step=9, seconds=90.0)], tmp_path / "size.csv")
    with RunJournal(tmp_path / "size.csv", "size", step=5, minutes=1) as journal:
        journal.add(replace(REPORT, step=6))
    first, second = rows_of(tmp_path / "size.csv")
    assert first == row
    assert second.step == 6
    assert 50 <= second.seconds < 60
    assert second.bits_per_dim == pytest.approx(1.02)


def test_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    """A killed run may leave an incomplete line."""
    row = JournalRow(step=5, seconds=50.0, bits_per_dim=1.0, rate=0.5, slices_per_second=1.0, waiting_share=0.0)
    path = tmp_path / "size.csv"
    write_rows([row], path)
    path.write_text(path.read_text() + "6,60.0,1.")
    assert rows_of(path) == [row]


def test_waiting_is_a_share_of_the_time_since_the_last_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share is about one if all time was spent waiting."""
    monkeypatch.setattr(run_journal, "_ROW_SECONDS", 0.0)
    with RunJournal(tmp_path / "size.csv", "size", step=0, minutes=1) as journal:
        begun = journal._begun  # noqa: SLF001 - to know what has passed
        journal.add(replace(REPORT, waited_seconds=0.0))
        while time.monotonic() - begun < 0.1:
            pass
        journal.add(replace(REPORT, step=2, waited_seconds=0.1))
    assert rows_of(tmp_path / "size.csv")[-1].waiting_share == pytest.approx(1, abs=0.2)


def test_without_tensorboard_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard is optional."""
    monkeypatch.setattr(run_journal, "find_spec", no_spec)
    assert run_journal.board(tmp_path) is None


def no_spec(_name: str) -> importlib.machinery.ModuleSpec | None:
    return None
