"""What a failed round means: memory is full, the device is lost, or neither."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from models.errors import NotFiniteError
from models.pipeline import ImageState
from tests.worker.test_batch import KnownSampler
from worker.device.guarded_sampler import GuardedSampler
from worker.errors import BoardTooLargeError, DeviceLostError, RoundTooLargeError
from worker.jobs.score_state import ScoreState


class Failing(KnownSampler):
    """A sampler that raises the same error in every round."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """Raise the error."""
        assert not states
        raise self.error

    def score(self, states: Sequence[ScoreState]) -> list[ScoreState]:
        """Raise the error."""
        assert not states
        raise self.error


class Cuda:
    """The two calls of torch.cuda that a failure needs; either may raise."""

    def __init__(self, *, broken: str = "") -> None:
        self.broken, self.calls = broken, list[str]()

    def synchronize(self, device: torch.device) -> None:
        """Raise if the device is lost."""
        assert device == torch.device("cuda:1")
        self._called("synchronize")

    def empty_cache(self) -> None:
        """Raise if the device is lost."""
        self._called("empty_cache")

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name == self.broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")


def failure(
    error: Exception, monkeypatch: pytest.MonkeyPatch, *, broken: str = "", device: str = "cuda:1"
) -> Exception:
    """Return what a round raises on `device`."""
    cuda = Cuda(broken=broken)
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the test looks at it
        GuardedSampler(Failing(error), torch.device(device)).advance([])
    assert bool(cuda.calls) is (device != "cpu")
    return raised.value


FULL = [
    torch.OutOfMemoryError("as a test"),
    MemoryError("as a test"),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_a_full_memory_is_reported_as_one(error: Exception, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However torch words it; and no traceback keeps the tensors of the round. A GPU's board has a fixed size."""
    found = failure(error, monkeypatch, device=device)
    assert type(found) is (RoundTooLargeError if device == "cpu" else BoardTooLargeError)
    assert found.__context__ is None


def test_a_score_that_finds_no_memory_is_reported_as_an_image_is() -> None:
    """Fewer may fit."""
    with pytest.raises(RoundTooLargeError):
        GuardedSampler(Failing(MemoryError("as a test")), torch.device("cpu")).score([])


def test_a_board_of_one_row_is_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing smaller can be tried: the row fails its job."""
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    sampler = Failing(torch.OutOfMemoryError("as a test"))
    sampler.capacity = 1
    with pytest.raises(RoundTooLargeError):
        GuardedSampler(sampler, torch.device("cuda")).advance([])


@pytest.mark.parametrize("broken", ["synchronize", "empty_cache"])
@pytest.mark.parametrize("error", [*FULL, ValueError("of a job"), NotFiniteError("of a job")], ids=repr)
def test_after_any_error_a_device_that_does_not_work_is_lost(
    error: Exception, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error itself may look harmless: CUDA reports the cause at a later call."""
    assert type(failure(error, monkeypatch, broken=broken)) is DeviceLostError


@pytest.mark.parametrize(
    "error", [ValueError("of a job"), NotFiniteError("of a job"), torch.AcceleratorError("a kernel")]
)
def test_an_error_that_the_device_survives_is_the_jobs_own(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes unchanged, also an AcceleratorError."""
    assert failure(error, monkeypatch) is error
