"""Likelihood of a given image under the model, slice by slice: what a score job computes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.config import Geometry, Stage, Step
from models.subscale import Bytes, Progress


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """The information content of `given`, a complete image, as far as it is computed.

    `slices` holds the first steps of its geometry, as `Progress.slices` does: for each sub-pixel -log2 p, in bits, as
    (h, w, C) float32. By the chain rule, the bits of all steps add up to the bits of the image.
    """

    given: Progress
    slices: tuple[NDArray[np.float32], ...] = ()

    @classmethod
    def blank(cls, scored: bytes, geometry: Geometry) -> Self:
        """Return what is known before the first slice of a `packed` image. Raises ValueError, zlib.error if it is damaged."""
        values = np.frombuffer(zlib.decompress(scored), np.uint8)
        return cls(given=Progress.of(values.reshape(geometry.size, geometry.size, geometry.channels), geometry))

    @property
    def geometry(self) -> Geometry:
        """The geometry of the image."""
        return self.given.geometry

    @property
    def done(self) -> int:
        """Number of slices whose bits are known."""
        return len(self.slices)

    @property
    def next(self) -> Step | None:
        """The next slice to compute; None when all are known."""
        steps = self.geometry.steps
        return steps[self.done] if self.done < len(steps) else None

    def with_slice(self, bits: NDArray[np.float32]) -> Self:
        """Return the likelihood with one slice more. Raises ValueError if `bits` is not (h, w, C) float32."""
        if bits.shape != self.geometry.slice_shape or bits.dtype != np.float32:
            msg = f"expected float32 {self.geometry.slice_shape}, got {bits.dtype} {bits.shape}"
            raise ValueError(msg)
        return replace(self, slices=(*self.slices, bits))

    def bits_of_slices(self) -> tuple[float, ...]:
        """Return the bits of each slice."""
        return tuple(float(each.sum(dtype=np.float64)) for each in self.slices)

    def bits_per_dim(self) -> dict[Stage, float]:
        """Return the additive share of each stage in the bits per dimension of the whole image."""
        shares = dict.fromkeys(self.geometry.stages, 0.0)
        for step, bits in zip(self.geometry.steps, self.bits_of_slices(), strict=False):
            shares[step.stage] += bits / self.geometry.dimensions
        return shares

    def bits_per_pixel(self) -> NDArray[np.float64]:
        """Return the bits of each pixel, (H, W): the sum over its channels, coarse and fine."""
        geometry, s = self.geometry, self.geometry.subscale
        pixels = np.zeros((geometry.size, geometry.size))
        for step, bits in zip(geometry.steps, self.slices, strict=False):
            i, j = divmod(step.slice, s)
            pixels[i::s, j::s] += bits.sum(-1, dtype=np.float64)
        return pixels


def packed(values: Bytes) -> bytes:
    """Return an image as the request of a score job has it; (H, W, C) values of the geometry's bits."""
    return zlib.compress(values.tobytes())
