"""A worker that fails on cue: `python -m tests.chaos.rehearsal FOLDER SECONDS`.

It is `worker.main`, with slices that take SECONDS more, a journal of its transitions in FOLDER/journal, and faults: a file
in FOLDER named after a `Cue` kills the first worker that gets there, once. Some seeds are poison (`Poison`). All
of it is patched in from here; the product has no such code.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import IntEnum, StrEnum
from functools import wraps
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import torch
from rq import Queue

from models.decoder import Conditioning
from models.pipeline import ImageState, Pipeline
from models.sampling import row_filling
from models.sampling.row_filling import RowSource
from models.sampling.slice_request import SliceRequest
from service.contract.transitions import Call, Reply, Transitions
from tests.chaos.journal import JOURNAL, Line
from worker import main as worker

SLOW_SECONDS = 5.0
MOST_STEPS = 100

Result = TypeVar("Result")


class Cue(StrEnum):
    """Places where a worker can be killed."""

    POPPED = "popped"
    """A ticket has left the queue; it is not removed from RQ."""
    ACQUIRE = "acquire"
    """The next job is known, and not acquired."""
    FINISH = "finish"
    """The last slice is published; the job is not finished."""
    FINISHED = "finished"
    """The job is finished; the worker has not read the reply."""
    SLOW = "slow"
    """No death: the next round takes SLOW_SECONDS."""


BEFORE = {"acquire": Cue.ACQUIRE, "finish": Cue.FINISH}
AFTER = {"finish": Cue.FINISHED}
"""Cues around the transitions of these names."""


class Poison(IntEnum):
    """Seeds that are poison; the step at which they strike is to be added."""

    KILL = 900_000
    """The worker dies, as by the kernel's out-of-memory killer."""
    ERROR = 901_000
    """The sampler raises."""
    NAN = 902_000
    """The logits are not numbers."""

    def at(self, step: int) -> int:
        """The seed that strikes when so many slices are done."""
        return self + step

    def strikes(self, state: ImageState | SliceRequest) -> bool:
        """Whether it does now."""
        return self <= state.seed < self + MOST_STEPS and state.progress.done == state.seed - self


class Rehearsal:
    """Wrappers around the functions of the product."""

    def __init__(self, folder: Path, slice_seconds: float) -> None:
        self._folder, self._slice_seconds = folder, slice_seconds
        self._journal = (folder / JOURNAL).open("a", buffering=1)

    def begin(self, stack: ExitStack) -> None:
        """Install the wrappers, until `stack` is closed."""
        for place, name, around in (
            (Pipeline, "advance", self._advance),
            (row_filling, "conditionings", self._conditionings),
            (Transitions, "__call__", self._transition),
            (Transitions, "together", self._together),
            (Queue, "_fetch_dequeued_job", self._popped),
        ):
            stack.enter_context(patch.object(place, name, around(getattr(place, name))))

    def _advance(self, advance: Callable[..., list[ImageState]]) -> Callable[..., list[ImageState]]:
        def paced(pipeline: Pipeline, states: Sequence[ImageState]) -> list[ImageState]:
            time.sleep(SLOW_SECONDS if self._claimed(Cue.SLOW) else self._slice_seconds)
            if any(map(Poison.KILL.strikes, states)):
                die()
            if any(map(Poison.ERROR.strikes, states)):
                raise RuntimeError("poisoned")
            return advance(pipeline, states)

        return paced

    def _conditionings(self, conditionings: Callable[..., list[Conditioning]]) -> Callable[..., list[Conditioning]]:
        def spoiled(source: RowSource, request: SliceRequest) -> list[Conditioning]:
            found = conditionings(source, request)
            if not Poison.NAN.strikes(request):
                return found
            return [side._replace(start=torch.full_like(side.start, torch.nan)) for side in found]

        return spoiled

    def _transition(self, send: Callable[..., Reply]) -> Callable[..., Reply]:
        def noted(transitions: Transitions, call: Call) -> Reply:
            sent = time.time()
            self._strike(BEFORE.get(call.transition))
            reply = send(transitions, call)
            self._strike(AFTER.get(call.transition))
            self._note(sent, call, reply)
            return reply

        return noted

    def _together(self, send: Callable[..., list[Reply]]) -> Callable[..., list[Reply]]:
        def noted(transitions: Transitions, calls: Sequence[Call]) -> list[Reply]:
            sent = time.time()
            for call in calls:
                self._strike(BEFORE.get(call.transition))
            replies = send(transitions, calls)
            for call, reply in zip(calls, replies, strict=True):
                self._strike(AFTER.get(call.transition))
                self._note(sent, call, reply)
            return replies

        return noted

    def _note(self, sent: float, call: Call, reply: Reply) -> None:
        name, token = call.transition, call.token or "-"
        if name not in {"announce", "next"}:  # of no job
            line = Line(at=sent, pid=os.getpid(), transition=name, job=call.id, token=token, outcome=reply.outcome)
            self._journal.write(line.encode())

    def _popped(self, fetch: Callable[..., Result]) -> Callable[..., Result]:
        @wraps(fetch)
        def struck(*args: object, **named: object) -> Result:
            self._strike(Cue.POPPED)
            return fetch(*args, **named)

        return struck

    def _strike(self, cue: Cue | None) -> None:
        if cue and self._claimed(cue):
            die()

    def _claimed(self, cue: Cue) -> bool:
        """Whether this worker is the first to get there. It leaves its process id."""
        try:
            (self._folder / cue).rename(self._folder / f"{cue}-{os.getpid()}")
        except FileNotFoundError:
            return False
        return True


def die() -> None:
    """As `kill -9` does it."""
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Serve as `worker.main` does."""
    folder, slice_seconds = sys.argv[1:]
    with ExitStack() as stack:
        Rehearsal(Path(folder), float(slice_seconds)).begin(stack)
        return worker.main()


if __name__ == "__main__":
    sys.exit(main())
