"""The border to torch's errors: a sampler that reports a full memory and a lost device as errors of worker/."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch

from models.cards import ModelCard
from models.pipeline import ImageState
from worker.errors import BoardTooLargeError, DeviceLostError, RoundTooLargeError, WorkerError

if TYPE_CHECKING:
    from worker.batch import SliceSampler
    from worker.jobs.score_state import ScoreState

Work = TypeVar("Work")

OUT_OF_MEMORY = ("out of memory", "not enough memory", "allocate memory", "alloc_failed")
"""Parts of the messages with which torch, its CPU allocator, CUDA and cuBLAS report a full memory as a RuntimeError."""


class GuardedSampler:
    """A sampler that reports a full memory and a device that does not work.

    On a CPU a full memory is a RoundTooLargeError: fewer rows may fit. On CUDA it is a BoardTooLargeError: boards and graphs
    have a fixed size, so it takes a smaller capacity, down to one row. DeviceLostError: the device does not work any more.

    CUDA reports an error at any later call, and after some errors it refuses all work. So the device is synchronised after
    every failure, whatever the exception was: if that fails too, the device is lost.
    """

    def __init__(self, sampler: SliceSampler, device: torch.device) -> None:
        self._sampler, self._device = sampler, device
        self.card: ModelCard = sampler.card
        self.capacity: int = sampler.capacity

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """Do as Pipeline.advance. Raises RoundTooLargeError, DeviceLostError, or the error of the sampler."""
        return self._guarded(self._sampler.advance, states)

    def score(self, states: Sequence[ScoreState]) -> list[ScoreState]:
        """Do as `scored`. Raises the same errors as `advance`."""
        return self._guarded(self._sampler.score, states)

    def _guarded(self, call: Callable[[Sequence[Work]], list[Work]], states: Sequence[Work]) -> list[Work]:
        failure: Exception
        try:
            return call(states)
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = self._too_large(error) if is_out_of_memory(error) else error
        # Outside the handler, so that no traceback keeps the tensors of a round that did not fit.
        try:
            self._check_device()
            raise failure
        finally:
            del failure

    def _too_large(self, error: Exception) -> WorkerError:
        fixed = self._device.type == "cuda" and self.capacity > 1
        return (BoardTooLargeError if fixed else RoundTooLargeError)(str(error))

    def _check_device(self) -> None:
        """Return unused memory to the device. Raises DeviceLostError if the device does not work."""
        if self._device.type != "cuda":
            return
        try:
            torch.cuda.synchronize(self._device)
            torch.cuda.empty_cache()
        except Exception as error:
            raise DeviceLostError(f"{self._device} does not work any more: {error}") from error


def is_out_of_memory(error: Exception) -> bool:
    """Return whether `error` says that memory is full."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error).lower() for part in OUT_OF_MEMORY)
