"""A network's share of sampling in C++ (`cpp/`), for processors: compiled in seconds at first use, kept on disk.

The same draws as by torch, up to rounding. Products are of bfloat16 with float32 sums where the processor multiplies
bfloat16, as the networks were trained; elsewhere all is float32.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import subprocess
import weakref
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from uuid import uuid4

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import Stage, Step
from models.decoder import IMAGE_FORECASTS, SLICE_FORECASTS, Conditioning, Decoder
from models.embedder import Embedder
from models.errors import NoCompilerError
from models.network import Network
from models.sampling.board import Board, Raster
from models.sampling.noise import STAGES, Shape, to_gumbel
from models.sampling.threads import Threads

logger = logging.getLogger(__name__)

SOURCES = Path(__file__).with_name("cpp")
FLAGS = ("-std=c++20", "-O3", "-march=native", "-shared", "-fPIC")
LANES = 16
"""Numbers that the code handles at once; widths must be whole multiples."""

Address = ctypes.c_void_p


class EmbedderShape(ctypes.Structure):
    """As in C++."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in (
            *("side", "subscale", "channels", "coarse_bits", "fine_bits", "depth"),
            *("width", "blocks", "gates"),
        )
    )


class NoiseShape(ctypes.Structure):
    """As in C++."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("slice", "stage", "positions", "channels", "symbols"))


class DecoderShape(ctypes.Structure):
    """As in C++."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in (
            *("rows", "side", "reach", "width", "heads", "conv", "blocks", "expansion"),
            *("channels", "symbols", "value_bits", "kernels"),
        )
    )


class Native:
    """A C++ object, and the tensors that it knows by their addresses."""

    def __init__(self, library: ctypes.CDLL, name: str, shape: ctypes.Structure, tensors: Iterable[Tensor]) -> None:
        self._kept = list(tensors)
        addresses = (Address * len(self._kept))(*(tensor.data_ptr() for tensor in self._kept))
        self.address = Address(getattr(library, f"{name}_create")(ctypes.byref(shape), addresses))
        weakref.finalize(self, getattr(library, f"{name}_destroy"), self.address)


class NativeCondition:
    """`Network.condition` for one picture, from as many threads as are told."""

    def __init__(self, library: ctypes.CDLL, network: Network, threads: Threads) -> None:
        embedder, decoder, geometry = network.embedder, network.decoder, network.geometry
        self._network, self._run = network, library.embedder_run
        shape = EmbedderShape(
            side=decoder.slice_size,
            subscale=geometry.subscale,
            channels=geometry.channels,
            coarse_bits=geometry.coarse_bits,
            fine_bits=geometry.fine_bits,
            depth=network.stage is Stage.DEPTH,
            width=decoder.widths.width,
            blocks=len(embedder.blocks),
            gates=decoder.condition.out_features,
        )
        weights = list(embedder_weights(embedder, decoder, group=library.group()))
        self._idle: SimpleQueue[Native] = SimpleQueue()
        for _ in range(threads.count):
            self._idle.put(Native(library, "embedder", shape, weights))

    def __call__(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        """As `Network.condition`, from uint8 pictures; the batch is 1."""
        decoder, positions = self._network.decoder, self._network.geometry.positions
        asked = self._network.embedder.asked(k, controls)
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


def gumbel(library: ctypes.CDLL, seed: int, step: Step, shape: Shape) -> Tensor:
    """As `noise.gumbel`, bit for bit."""
    positions, channels, symbols = shape
    address = NoiseShape(step.slice, STAGES[step.stage], positions, channels, symbols)
    numbers = torch.empty(shape, dtype=torch.double)
    library.uniform(seed & 0xFFFFFFFFFFFFFFFF, ctypes.byref(address), numbers.data_ptr())
    return to_gumbel(numbers)


class NativePasses:
    """Draws what is on `board`, in place: each thread some of the rows, in passes of `budget` tokens, or one token for each
    row if that is more.
    """

    def __init__(self, library: ctypes.CDLL, decoder: Decoder, board: Board, threads: Threads, *, budget: int) -> None:
        self._run, self._threads, self._budget = library.decoder_run, threads, budget
        weights = list(decoder_weights(decoder, group=library.group()))
        raster = Raster(decoder.slice_size, decoder.widths.reach, board.front.device)
        self._passes = [
            Native(library, "decoder", decoder_shape(decoder, len(band.front)), [*weights, *memory(band, raster)])
            for band in board.bands(threads.count)
        ]

    def __call__(self) -> int:
        """Until every row is finished; how many passes it took."""
        return sum(self._threads.map(self._finish, self._passes))

    def _finish(self, passes: Native) -> int:
        count: int = self._run(passes.address, self._budget)
        return count


def decoder_shape(decoder: Decoder, rows: int) -> DecoderShape:
    """Of a board of `rows`."""
    widths, head = decoder.widths, decoder.head
    return DecoderShape(
        rows=rows,
        side=decoder.slice_size,
        reach=widths.reach,
        width=widths.width,
        heads=widths.heads,
        conv=widths.conv_width,
        blocks=widths.blocks,
        expansion=widths.expansion,
        channels=head.channels,
        symbols=head.symbols,
        value_bits=decoder.value_bits,
        kernels=SLICE_FORECASTS + IMAGE_FORECASTS,
    )


def fits(network: Network) -> bool:
    """Whether the C++ code can run this network: float32 on a CPU, all widths whole registers."""
    w, weight = network.decoder.widths, network.decoder.first.weight
    whole = all(
        width % LANES == 0 for width in (w.width, w.conv_width, w.width // w.heads, network.decoder.slice_size**2)
    )
    return whole and weight.device.type == "cpu" and weight.dtype is torch.float32


@cache
def library(folder: Path, *, bfloat16: bool) -> ctypes.CDLL:
    """The compiled code, built unless `folder` already has it. Without `bfloat16` it is float32 on any processor.

    Raises NoCompilerError if it cannot be built here.
    """
    flags = FLAGS if bfloat16 else (*FLAGS, "-DFLOAT32")
    path = folder / f"native-{identity(flags)}.so"
    if not path.exists():
        logger.info("compiling the sampler: once per machine, a few seconds")
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{uuid4().hex}.so")
        compile_with(*flags, "-o", str(partial), str(SOURCES / "library.cpp"))
        partial.replace(path)
    loaded = ctypes.CDLL(str(path))
    for name, result, takes in (
        ("group", ctypes.c_int64, ()),
        ("embedder_create", Address, (Address, Address)),
        ("embedder_destroy", None, (Address,)),
        ("embedder_run", None, (*(Address,) * 3, ctypes.c_int64, *(Address,) * 5)),
        ("uniform", None, (ctypes.c_uint64, Address, Address)),
        ("decoder_create", Address, (Address, Address)),
        ("decoder_destroy", None, (Address,)),
        ("decoder_run", ctypes.c_int64, (Address, ctypes.c_int64)),
    ):
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, takes
    return loaded


def identity(flags: tuple[str, ...]) -> str:
    """Of all that decides the machine code: source, flags, and what they mean to this compiler on this processor."""
    code = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))
    meant = compile_with(*flags, "-###", "-E", "-x", "c++", os.devnull)
    return hashlib.sha256(code + meant).hexdigest()[:16]


def compiler() -> str:
    """The command: CXX, else g++."""
    return os.environ.get("CXX", "g++")


def compile_with(*arguments: str) -> bytes:
    """Run the C++ compiler; what it had to say. Raises NoCompilerError if there is none, or it fails."""
    try:
        return subprocess.run([compiler(), *arguments], capture_output=True, check=True).stderr
    except FileNotFoundError as error:
        msg = f"no C++ compiler {compiler()}"
        raise NoCompilerError(msg) from error
    except subprocess.CalledProcessError as error:
        msg = f"{compiler()} failed: {error.stderr.decode(errors='replace').strip()[-500:]}"
        raise NoCompilerError(msg) from error


class Weights:
    """A module's weights by name, as the C++ code reads them."""

    def __init__(self, module: nn.Module, *, group: int) -> None:
        self._tensors, self._group = module.state_dict(), group

    def plain(self, *names: str) -> Iterator[Tensor]:
        """Weight and, where there is one, bias of each module."""
        for name in names:
            yield from (self._tensors[at] for at in (f"{name}.weight", f"{name}.bias") if at in self._tensors)

    def packed(self, *names: str) -> Iterator[Tensor]:
        """Weight and bias of each linear layer or convolution, packed."""
        for name in names:
            weight, bias = self.plain(name)
            yield from packed(flat(weight) if weight.dim() > 2 else weight, bias, self._group)  # noqa: PLR2004 - a matrix


def embedder_weights(embedder: Embedder, decoder: Decoder, *, group: int) -> Iterator[Tensor]:
    """In the order in which the C++ code reads them."""
    weights = Weights(embedder, group=group)
    yield from weights.packed("first")
    yield from weights.packed(
        *(f"blocks.{i}.{part}" for i in range(len(embedder.blocks)) for part in ("spread", "mix"))
    )
    yield from weights.plain("last")
    yield from Weights(decoder, group=group).packed("condition")
    yield decoder.positions().detach().contiguous()


def decoder_weights(decoder: Decoder, *, group: int) -> Iterator[Tensor]:
    """In the order in which the C++ code reads them."""
    weights, channels = Weights(decoder, group=group), range(decoder.head.channels)
    yield from weights.plain(*(f"pixel.tables.{c}" for c in channels))
    number, bias = weights.plain("pixel.number")
    yield from (number.T.contiguous(), bias)
    yield from weights.packed("first")
    for i in range(len(decoder.blocks)):
        yield from weights.plain(*(f"blocks.{i}.{norm}" for norm in ("near_norm", "far_norm", "feed_norm")))
        layers = ("narrow", "gates", "near_out", "qkv", "far_out", "feed.0", "feed.2")
        yield from weights.packed(*(f"blocks.{i}.{layer}" for layer in layers))
    yield from weights.plain("head.norm")
    yield from weights.packed("head.hidden")
    yield from weights.plain(*(f"head.earlier.{c}" for c in channels[:-1]))
    yield from weights.packed(*(f"head.out.{c}" for c in channels))


def flat(weight: Tensor) -> Tensor:
    """A convolution as a matrix over windows laid out by row, column, channel; inputs padded to whole registers."""
    matrix = weight.permute(0, 2, 3, 1).flatten(1)
    return F.pad(matrix, (0, -matrix.shape[1] % LANES))


def packed(weight: Tensor, bias: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """Weights in panels of LANES outputs, (panels, inputs / group, LANES, group), and the bias, both padded with zeros."""
    missing = -len(weight) % LANES
    panels = F.pad(weight, (0, 0, 0, missing)).view(-1, LANES, weight.shape[1] // group, group)
    dtype = torch.bfloat16 if group > 1 else torch.float32
    return panels.transpose(1, 2).to(dtype).contiguous(), F.pad(bias, (0, missing))


def memory(board: Board, raster: Raster) -> Iterator[Tensor]:
    """The board and its raster, in the order in which the C++ code reads them. It lays out keys and contents its own way."""
    yield from board.conditioning
    yield from (board.noise, board.temperature, board.values, board.pixels)
    for caches in (board.grids, board.keys, board.contents):
        yield from caches
    yield from (board.front, board.seen, board.pace, raster.own, raster.previous, raster.taps)
