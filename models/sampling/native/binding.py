"""Calls of the C++ code (`cpp/`) by ctypes: objects made of named tensors, and what they do."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from models.config import Step
from models.decoder import IMAGE_FORECASTS, Conditioning, Decoder
from models.errors import NativeArgumentError
from models.network import Network
from models.sampling.native.compiler import built
from models.sampling.native.packing import WIDEST, Layout
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


_CREATE: Final = (ctypes.POINTER(Argument), ctypes.c_int64, Address, ctypes.c_char_p, ctypes.c_int64)
"""Parameters of a function that makes an object: arguments, their count, a helper, room for an error text, its bytes."""


class NativeHelper:
    """A thread that shares the work of objects while fewer than `threads` of them are at work; none for one thread."""

    def __init__(self, library: ctypes.CDLL, threads: int) -> None:
        self.address = Address(library.helper_create(threads))
        weakref.finalize(self, library.helper_destroy, self.address)


class NativeObject:
    """A C++ object, made of numbers and tensors by name. It reads and writes the tensors where they are.

    Raises NativeArgumentError if the C++ code misses one, does not know it, or expects another size or dtype.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        name: str,
        numbers: Mapping[str, int],
        tensors: Mapping[str, Tensor],
        helper: NativeHelper,
    ) -> None:
        self.library, self._helper = library, helper
        self._kept = {**{key: torch.tensor([value]) for key, value in numbers.items()}, **tensors}
        arguments = [Argument.of(key, tensor) for key, tensor in self._kept.items()]
        error = ctypes.create_string_buffer(_MESSAGE_BYTES)
        create, count = getattr(library, f"{name}_create"), len(arguments)
        self.address = Address(create((Argument * count)(*arguments), count, helper.address, error, len(error)))
        if not self.address:
            raise NativeArgumentError(f"{name}: {error.value.decode()}")
        weakref.finalize(self, getattr(library, f"{name}_destroy"), self.address)


def run_embedder(
    embedder: NativeObject, decoder: Decoder, *, known: tuple[Tensor, Tensor], k: int, context: Tensor
) -> Conditioning:
    """Return `Network.condition` of one image.

    `known`: its coarse and its fine values, (1, H, W, C) uint8 each; `context`: (1, N, D) of `Embedder.context`.
    """
    positions, channels = context.shape[1], decoder.head.channels
    result = Conditioning(
        start=torch.empty(1, positions, decoder.widths.width),
        gates=torch.empty(1, positions, decoder.condition.out_features),
        forecasts=torch.empty(1, positions, IMAGE_FORECASTS, channels, dtype=torch.long),
        offset=torch.empty(1, positions, channels, dtype=torch.long),
    )
    coarse, fine, context = (tensor.contiguous() for tensor in (*known, context))
    embedder.library.embedder_run(
        embedder.address,
        coarse.data_ptr(),
        fine.data_ptr(),
        k,
        *(tensor.data_ptr() for tensor in (context, *result)),
    )
    return result


def run_decoder(decoder: NativeObject, tokens: int) -> int:
    """Run passes of `tokens` tokens, or one for each row if that is more, until every row is final; return how many."""
    passes: int = decoder.library.decoder_run(decoder.address, tokens)
    return passes


def gumbel(library: ctypes.CDLL, seed: int, step: Step, shape: Shape, candidate: int = 0) -> Tensor:
    """Return `noise.gumbel`, bit for bit."""
    positions, channels, symbols = shape
    address = (slice_word(step, candidate), STAGES[step.stage])
    numbers = torch.empty(shape, dtype=torch.double)
    library.uniform(seed & 0xFFFFFFFFFFFFFFFF, *address, positions, channels, symbols, numbers.data_ptr())
    return to_gumbel(numbers)


def fits(network: Network) -> bool:
    """Return whether the C++ code can run a network: float32 on a CPU, all widths multiples of the widest register."""
    w, weight = network.decoder.widths, network.decoder.first.weight
    widths = (w.width, w.conv_width, w.width // w.heads, network.decoder.slice_size**2)
    whole = all(width % WIDEST == 0 for width in widths)
    return whole and weight.device.type == "cpu" and weight.dtype is torch.float32


def layout(library: ctypes.CDLL) -> Layout:
    """Return how the compiled code reads weights."""
    return Layout(lanes=library.lanes(), group=library.group())


@cache
def library(folder: Path, *, bfloat16: bool) -> ctypes.CDLL:
    """Return the compiled code, built unless `folder` already has it. Without `bfloat16` it is float32 on any CPU.

    Raises NoCompilerError if it cannot be built here.
    """
    loaded = ctypes.CDLL(str(built(folder, bfloat16=bfloat16)))
    for name, result, parameters in (
        ("lanes", ctypes.c_int64, ()),
        ("group", ctypes.c_int64, ()),
        ("helper_create", Address, (ctypes.c_int64,)),
        ("helper_destroy", None, (Address,)),
        ("embedder_create", Address, _CREATE),
        ("embedder_destroy", None, (Address,)),
        ("embedder_run", None, (*(Address,) * 3, ctypes.c_int64, *(Address,) * 5)),
        ("uniform", None, (ctypes.c_uint64, *(ctypes.c_int64,) * 5, Address)),
        ("decoder_create", Address, _CREATE),
        ("decoder_destroy", None, (Address,)),
        ("decoder_run", ctypes.c_int64, (Address, ctypes.c_int64)),
    ):
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, parameters
    return loaded
