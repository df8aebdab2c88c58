"""Errors of worker/.

WorkerError
├── DeviceMissingError   torch does not have the device
├── StartError           the worker cannot start
├── RoundTooLargeError   the rows of a round do not fit in memory
├── BoardTooLargeError   a GPU's memory is too small for this capacity
└── DeviceLostError      the accelerator does not work in this process any more
"""


class WorkerError(Exception):
    """Root of all errors that worker/ raises on purpose."""


class DeviceMissingError(WorkerError):
    """Torch does not have the device of the settings; the message says how many it has."""


class StartError(WorkerError):
    """The worker cannot start; the message says why and what to do."""


class RoundTooLargeError(WorkerError):
    """The rows of a round do not fit in memory; fewer rows may fit."""


class BoardTooLargeError(WorkerError):
    """A GPU ran out of memory. Boards and graphs have a fixed size, so only a smaller capacity helps."""


class DeviceLostError(WorkerError):
    """The accelerator does not work in this process any more. The process ends, and its leases run out."""
