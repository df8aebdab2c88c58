"""The device of a worker, selected before anything else uses CUDA."""

from __future__ import annotations

import torch

from worker.errors import DeviceMissingError


def select_device(name: str) -> None:
    """Make `name` the current device of this process. Raises DeviceMissingError.

    Streams, graphs and allocations without a device use the current one. With another one a captured graph would be empty.
    """
    device = torch.device(name)
    if device.type == "cuda":
        check_device(name)
        torch.cuda.set_device(device.index or 0)


def check_device(name: str) -> None:
    """Raise DeviceMissingError if torch does not have the device."""
    device, count = torch.device(name), torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise DeviceMissingError(f"torch {torch.__version__} sees {count} CUDA devices")
