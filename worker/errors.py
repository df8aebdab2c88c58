"""Errors of worker/.

WorkerError
├── RehearsalError       the model does not run at start
├── RoundTooLargeError   the rows of a round do not fit in memory
├── BoardTooLargeError   a GPU's memory is too small for this capacity
└── DeviceLostError      the accelerator does not work in this process any more
"""


class WorkerError(Exception):
    """Root of all errors that worker/ raises on purpose."""


class RehearsalError(WorkerError):
    """The model does not run at start; it would fail every job."""


class RoundTooLargeError(WorkerError):
    """The rows of a round do not fit in memory; fewer rows may fit."""


class BoardTooLargeError(WorkerError):
    """A GPU ran out of memory. Its board and graphs have a fixed size, so only a smaller capacity helps."""


class DeviceLostError(WorkerError):
    """The accelerator does not work in this process any more. The process ends, and its leases run out."""
