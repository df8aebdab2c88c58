"""A network's share of sampling in C++ (`cpp/`), for processors.

The same draws as by torch, up to rounding. Products are of bfloat16 with float32 sums where the processor multiplies
bfloat16, as the networks were trained; elsewhere all is float32.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import torch
from torch import Tensor

from models.config import Stage, Step
from models.decoder import IMAGE_FORECASTS, Conditioning, Decoder
from models.errors import NativeArgumentError
from models.network import Network
from models.sampling.board import Board, Raster
from models.sampling.native.compiler import built
from models.sampling.native.packing import WIDEST, Layout, decoder_weights, embedder_weights, memory
from models.sampling.threads import Threads
from models.sampling.noise import STAGES, Shape, slice_word, to_gumbel

Address = ctypes.c_void_p

_MESSAGE_BYTES: Final = 500


class Argument(ctypes.Structure):
    """A tensor that an object is made of: `Argument` in cpp/arguments.hpp."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("count", ctypes.c_int64),
    )

    @classmethod
    def of(cls, name: str, tensor: Tensor) -> Argument:
        """Return the argument for a contiguous tensor, which the caller keeps alive."""
        dtype = str(tensor.dtype).removeprefix("torch.")
        return cls(name.encode(), dtype.encode(), tensor.data_ptr(), tensor.numel())


_CREATE: Final = (ctypes.POINTER(Argument), ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64)
"""What a function takes that makes an object: arguments, how many, room for an error text, how many bytes."""


class Native:
    """A C++ object, made of numbers and tensors by name; it reads and writes the tensors where they are.

    Raises NativeArgumentError if the C++ code misses one, does not know it, or expects another size or dtype.
    """

    def __init__(
        self, library: ctypes.CDLL, name: str, numbers: Mapping[str, int], tensors: Mapping[str, Tensor]
    ) -> None:
        self._kept = {**{key: torch.tensor([value]) for key, value in numbers.items()}, **tensors}
        arguments = [Argument.of(key, tensor) for key, tensor in self._kept.items()]
        error = ctypes.create_string_buffer(_MESSAGE_BYTES)
        create, count = getattr(library, f"{name}_create"), len(arguments)
        self.address = Address(create((Argument * count)(*arguments), count, error, len(error)))
        if not self.address:
            raise NativeArgumentError(f"{name}: {error.value.decode()}")
        weakref.finalize(self, getattr(library, f"{name}_destroy"), self.address)


class NativeCondition:
    """`Network.condition` for one picture, from as many threads as are told."""

    def __init__(self, library: ctypes.CDLL, network: Network, threads: Threads) -> None:
        self._network, self._run = network, library.embedder_run
        numbers, tensors = embedder_numbers(network), embedder_tensors(network, layout(library))
        self._idle: SimpleQueue[Native] = SimpleQueue()
        for _ in range(threads.count):
            self._idle.put(Native(library, "embedder", numbers, tensors))

    def __call__(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        """As `Network.condition`, from uint8 pictures; the batch is 1."""
        decoder, positions = self._network.decoder, self._network.geometry.positions
        asked = self._network.embedder.asked(k, controls).contiguous()
        start = torch.empty(1, positions, decoder.widths.width)
        gates = torch.empty(1, positions, decoder.condition.out_features)
        forecasts = torch.empty(1, positions, IMAGE_FORECASTS, decoder.head.channels, dtype=torch.long)
        offset = torch.empty(1, positions, decoder.head.channels, dtype=torch.long)
        pictures = [picture.contiguous() for picture in (coarse, fine)]
        found = Conditioning(start, gates, forecasts, offset)
        native = self._idle.get()
        try:
            self._run(
                native.address,
                *(tensor.data_ptr() for tensor in pictures),
                int(k),
                *(tensor.data_ptr() for tensor in (asked, *found)),
            )
        finally:
            self._idle.put(native)
        return found


def gumbel(library: ctypes.CDLL, seed: int, step: Step, shape: Shape, candidate: int = 0) -> Tensor:
    """As `noise.gumbel`, bit for bit."""
    positions, channels, symbols = shape
    address = (slice_word(step, candidate), STAGES[step.stage])
    numbers = torch.empty(shape, dtype=torch.double)
    library.uniform(seed & 0xFFFFFFFFFFFFFFFF, *address, positions, channels, symbols, numbers.data_ptr())
    return to_gumbel(numbers)


class NativePasses:
    """Draws what is on `board`, in place: each thread some of the rows, in passes of `budget` tokens, or one token for each
    row if that is more.
    """

    def __init__(self, library: ctypes.CDLL, decoder: Decoder, board: Board, threads: Threads, *, budget: int) -> None:
        self._run, self._threads, self._budget = library.decoder_run, threads, budget
        weights = decoder_weights(decoder, layout(library))
        raster = Raster(decoder.slice_size, decoder.widths.reach, board.front.device)
        self._passes = [
            Native(library, "decoder", decoder_numbers(decoder, band), {**weights, **memory(band, raster)})
            for band in board.bands(threads.count)
        ]

    def __call__(self, _lanes: int) -> int:
        """Until every row is finished; how many passes it took. Which rows have two lanes is on the board."""
        return sum(self._threads.map(self._finish, self._passes))

    def _finish(self, passes: Native) -> int:
        count: int = self._run(passes.address, self._budget)
        return count


def embedder_numbers(network: Network) -> dict[str, int]:
    """Sizes of a slice embedder and of the pictures it looks at."""
    geometry, decoder = network.geometry, network.decoder
    return {
        "side": decoder.slice_size,
        "subscale": geometry.subscale,
        "channels": geometry.channels,
        "coarse_bits": geometry.coarse_bits,
        "fine_bits": geometry.fine_bits,
        "depth": int(network.stage is Stage.DEPTH),
        "width": decoder.widths.width,
        "blocks": len(network.embedder.blocks),
        "gates": decoder.condition.out_features,
    }


def embedder_tensors(network: Network, layout: Layout) -> dict[str, Tensor]:
    """The order of slices, and the weights of an embedder."""
    order = {"rank": torch.tensor(network.geometry.ranks)}
    return {**order, **embedder_weights(network.embedder, network.decoder, layout)}


def decoder_numbers(decoder: Decoder, board: Board) -> dict[str, int]:
    """Sizes of a decoder and of the board it works on."""
    widths, head = decoder.widths, decoder.head
    return {
        "rows": len(board.front),
        "lanes": board.lanes,
        "side": decoder.slice_size,
        "reach": widths.reach,
        "width": widths.width,
        "heads": widths.heads,
        "conv": widths.conv_width,
        "blocks": widths.blocks,
        "expansion": widths.expansion,
        "channels": head.channels,
        "symbols": head.symbols,
        "value_bits": decoder.value_bits,
    }


def fits(network: Network) -> bool:
    """Whether the C++ code can run this network: float32 on a CPU, all widths whole registers of any size."""
    w, weight = network.decoder.widths, network.decoder.first.weight
    whole = all(
        width % WIDEST == 0 for width in (w.width, w.conv_width, w.width // w.heads, network.decoder.slice_size**2)
    )
    return whole and weight.device.type == "cpu" and weight.dtype is torch.float32


def layout(library: ctypes.CDLL) -> Layout:
    """How the compiled code reads weights."""
    return Layout(lanes=library.lanes(), group=library.group())


@cache
def library(folder: Path, *, bfloat16: bool) -> ctypes.CDLL:
    """The compiled code, built unless `folder` already has it. Without `bfloat16` it is float32 on any processor.

    Raises NoCompilerError if it cannot be built here.
    """
    loaded = ctypes.CDLL(str(built(folder, bfloat16=bfloat16)))
    for name, result, takes in (
        ("lanes", ctypes.c_int64, ()),
        ("group", ctypes.c_int64, ()),
        ("embedder_create", Address, _CREATE),
        ("embedder_destroy", None, (Address,)),
        ("embedder_run", None, (*(Address,) * 3, ctypes.c_int64, *(Address,) * 5)),
        ("uniform", None, (ctypes.c_uint64, *(ctypes.c_int64,) * 5, Address)),
        ("decoder_create", Address, _CREATE),
        ("decoder_destroy", None, (Address,)),
        ("decoder_run", ctypes.c_int64, (Address, ctypes.c_int64)),
    ):
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, takes
    return loaded
