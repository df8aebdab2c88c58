"""A disk without room for the append-only file."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from tests.chaos.deadlines import NotHeldError
from tests.chaos.stand import Stand
from tests.chaos.stores import FULL_SECONDS, check_refused, refused_for
from tests.chaos.submitted import RefusedError, SubmittedJob, submit
from tests.chaos.trial import Found, Trial, resumed

BLOCK = bytes(4096)
LAST_SECONDS = 10
"""The last page of the file has room for a few more commands."""

STOP_SECONDS = 10


def full_disk(trial: Trial) -> Found:
    """In the middle of eight jobs. With `always` Redis ends, and its supervisor starts it again and again."""
    stand, known = trial.stand, trial.stand.known()
    with trial.watch() as watch:
        trial.pause(0.3, 1)
        with stand.restarting(stand.server, *stand.workers), ballast(stand.folder / "data"):
            watch.submitted += squeezed_in(stand)
            slowest = refused_for(stand, FULL_SECONDS)
        recovery_seconds = resumed(watch, stand.start_store()).recovery_seconds
        unanswered = check_refused(stand, known + len(watch.submitted), unanswered=1)
    check_files(stand)
    counts = Counter({"accepted without an answer": unanswered})
    return Found(recovery_seconds=recovery_seconds, worst={"503 after": slowest}, counts=counts)


def squeezed_in(stand: Stand) -> list[SubmittedJob]:
    """Jobs that were still accepted, before the first that was not."""
    found: list[SubmittedJob] = []
    deadline = time.monotonic() + LAST_SECONDS
    while time.monotonic() < deadline:
        try:
            found.append(submit(stand, 0))
        except RefusedError as error:
            if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
                return found
            raise NotHeldError(f"a submit was answered {error}") from error
    raise NotHeldError(f"{len(found)} submits were accepted on a full disk")


def check_files(stand: Stand) -> None:
    """Stop Redis by SIGTERM, check its file, start it again. Raises NotHeldError."""
    stand.server.send(signal.SIGTERM)
    if stand.server.exit_code(within_seconds=STOP_SECONDS) != 0:
        raise NotHeldError("Redis did not end at SIGTERM")
    stand.check_files()
    stand.ready()


@contextmanager
def ballast(folder: Path) -> Iterator[None]:
    """Fill the disk of `folder` inside this context."""
    path = folder / "ballast"
    try:
        with path.open("wb", buffering=0) as file:
            fill(file.fileno())
        yield
    finally:
        path.unlink(missing_ok=True)


def fill(file: int) -> None:
    """Write until there is no room."""
    try:
        while os.write(file, BLOCK):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
