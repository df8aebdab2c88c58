"""The journal of a run: a progress bar, a CSV file beside the checkpoint, and TensorBoard where it is installed."""

from __future__ import annotations

import csv
import time
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pydantic import TypeAdapter
from tqdm import tqdm

_BAR: Final = "{l_bar}{bar}| {remaining} left {postfix}"
_FOLLOW: Final = 0.02
_ROW_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class JournalRow:
    """One row: `seconds` of training in all calls, bits/dim smoothed over about fifty steps, `rate` as fraction of the peak.

    Slices per second of all processes and the share of time waiting for data are measured since the previous row.
    """

    step: int
    seconds: float
    bits_per_dim: float
    rate: float
    slices_per_second: float
    waiting_share: float


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """The figures of one step: `waited_seconds` of the whole call, `slices` of the step in all processes."""

    step: int
    bits_per_dim: float
    rate: float
    slices: int
    waited_seconds: float


_ROWS: Final = TypeAdapter(JournalRow)


class RunJournal:
    """A journal that takes a report per step and writes a row every ten seconds.

    It continues the rows of `path` up to `step` and removes later ones.
    """

    def __init__(self, path: Path, title: str, *, step: int, minutes: float) -> None:
        self.path, self.title = path, title
        rows = [row for row in rows_of(path) if row.step <= step]
        write_rows(rows, path)
        self.smooth = rows[-1].bits_per_dim if rows else None
        self._earlier = rows[-1].seconds if rows else 0.0
        self._begun = self._written = time.monotonic()
        self._waited, self._slices, self._share = 0.0, 0, 0.0
        self._last: StepReport | None = None
        self._bar = tqdm(total=round(minutes * 60), unit="s", bar_format=_BAR)
        self._board = board(path.with_suffix(".board"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._last and self._slices:
            self._write(self._last)
        self._bar.close()
        if self._board:
            self._board.close()

    def add(self, report: StepReport) -> None:
        """Add the report of a step."""
        self.smooth = (
            report.bits_per_dim if self.smooth is None else self.smooth + _FOLLOW * (report.bits_per_dim - self.smooth)
        )
        self._slices += report.slices
        self._last = report
        if time.monotonic() - self._written >= _ROW_SECONDS:
            self._write(report)
        self._bar.n = round(time.monotonic() - self._begun)
        self._bar.set_postfix_str(
            f"{self.title} {self.smooth:.4f} bits/dim, step {report.step}, {self._share:.0%} waiting for data"
        )

    def _write(self, report: StepReport) -> None:
        now = time.monotonic()
        passed = max(now - self._written, 1e-9)
        self._share = (report.waited_seconds - self._waited) / passed
        row = JournalRow(
            step=report.step,
            seconds=round(self._earlier + now - self._begun, 1),
            bits_per_dim=round(self.smooth or 0.0, 5),
            rate=round(report.rate, 4),
            slices_per_second=round(self._slices / passed, 2),
            waiting_share=round(self._share, 4),
        )
        with self.path.open("a", newline="") as file:
            writer_of(file).writerow(asdict(row))
        if self._board:
            for name, value in asdict(row).items():
                self._board.add_scalar(name, value, row.step)
        self._written, self._waited, self._slices = now, report.waited_seconds, 0


def rows_of(path: Path) -> list[JournalRow]:
    """Return the complete rows of a journal, none where there is no file. A killed run may leave an incomplete last line."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [_ROWS.validate_python(line) for line in csv.DictReader(file) if all(line.values())]


def write_rows(rows: list[JournalRow], path: Path) -> None:
    """Replace the file by one with these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".csv.partial")
    with partial.open("w", newline="") as file:
        writer = writer_of(file)
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    partial.replace(path)


def writer_of(file: Any) -> csv.DictWriter[str]:  # noqa: ANN401 - csv's own type for a file is private
    """Return a CSV writer of rows."""
    return csv.DictWriter(file, [field.name for field in fields(JournalRow)])


def board(folder: Path) -> Any | None:  # noqa: ANN401 - of an optional package
    """Return a TensorBoard writer if the package is installed, else None."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional

    return SummaryWriter(folder)
