"""Compressed glyph masks: 8 levels of coverage, each row as its difference to the row above, each mask deflated.

A mask takes about half a kilobyte in the file and in memory, and 40 microseconds to unpack.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from training.data.tiles import MASTER, Mask

_LEVELS: Final = 8
_COVERAGE: Final = np.rint(np.arange(_LEVELS) * (255 / (_LEVELS - 1))).astype(np.uint8)
_LOW_HALF: Final = 15
_EFFORT: Final = 8
_RAW: Final = -15


class Masks:
    """Masks (n, 128, 128) uint8, read only; one by an integer, a new array of many by an array of integers."""

    def __init__(self, packed: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self.packed, self.ends = packed, ends

    @classmethod
    def of(cls, masks: Iterable[Mask]) -> Masks:
        """Return the masks, packed; coverage is rounded to eight levels."""
        parts = [_deflated(mask) for mask in masks]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        return cls(np.frombuffer(b"".join(parts), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[Mask]:
        return (self._one(index) for index in range(len(self)))

    @overload
    def __getitem__(self, index: int | np.integer) -> Mask: ...
    @overload
    def __getitem__(self, index: slice | NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.uint8]: ...
    def __getitem__(self, index: int | np.integer | slice | NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.uint8]:
        if isinstance(index, (int, np.integer)):
            return self._one(range(len(self))[index])
        chosen = [self._one(int(one)) for one in np.arange(len(self))[index]]
        return np.stack(chosen) if chosen else np.zeros((0, MASTER, MASTER), np.uint8)

    def _one(self, index: int) -> Mask:
        start = self.ends[index - 1] if index else 0
        return _inflated(self.packed[start : self.ends[index]])


def _deflated(mask: Mask) -> bytes:
    levels = np.rint(mask * ((_LEVELS - 1) / 255)).astype(np.uint8)
    pairs = levels[:, 0::2] << 4 | levels[:, 1::2]
    pairs[1:] ^= pairs[:-1].copy()
    packer = zlib.compressobj(_EFFORT, zlib.DEFLATED, _RAW)
    return packer.compress(pairs.tobytes()) + packer.flush()


def _inflated(packed: NDArray[np.uint8]) -> Mask:
    rows = np.frombuffer(zlib.decompress(packed.tobytes(), _RAW), np.uint8).reshape(MASTER, MASTER // 2)
    pairs = np.bitwise_xor.accumulate(rows, axis=0)
    levels = np.empty((MASTER, MASTER), np.uint8)
    levels[:, 0::2] = pairs >> 4
    levels[:, 1::2] = pairs & _LOW_HALF
    return np.asarray(_COVERAGE[levels], np.uint8)
