"""What the device can do at most: products of bfloat16, and reading of memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.gpu.section import options, report, synchronise

LOOPS = 10


def product_flops(device: str, side: int) -> float:
    """Return the FLOP/s of square bfloat16 products of `side`."""
    left = torch.randn(side, side, device=device).to(torch.bfloat16)
    return 2 * side**3 / seconds_of(lambda: left @ left, device)


def read_bytes_per_second(device: str, mebibytes: int) -> float:
    """Return the bytes per second at which a sum reads its input."""
    numbers = torch.ones(mebibytes << 18, device=device)
    return numbers.nbytes / seconds_of(numbers.sum, device)


def seconds_of(action: Callable[[], object], device: str) -> float:
    """Return the seconds of an action, on average over `LOOPS`."""
    action()
    synchronise(device)
    started = time.perf_counter()
    for _ in range(LOOPS):
        action()
    synchronise(device)
    return (time.perf_counter() - started) / LOOPS


def main() -> None:
    """Report the device and its ceilings."""
    chosen = options()
    on_cuda = torch.device(chosen.device).type == "cuda"
    report(
        torch=torch.__version__,
        cuda=torch.version.cuda,
        gpu=torch.cuda.get_device_name(chosen.device) if on_cuda else None,
        capability=torch.cuda.get_device_capability(chosen.device) if on_cuda else None,
        product_flops_per_second=product_flops(chosen.device, 8192 if on_cuda else 256),
        read_bytes_per_second=read_bytes_per_second(chosen.device, 1024 if on_cuda else 16),
    )


if __name__ == "__main__":
    main()
