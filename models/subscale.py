"""Lossless split of an image into slices and into coarse and fine bits; its state between slices. Free of torch.

Source: arXiv:1812.01608, section 3 (subscale ordering, multidimensional upscaling).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from einops import rearrange
from numpy.typing import NDArray

from models.config import Geometry, Stage, Step
from models.errors import ConfigError

Bytes = NDArray[np.uint8]


def to_slices(image: Bytes, subscale: int) -> Bytes:
    """Split (..., H, W, C) into (..., K, h, w, C); slice k = i * S + j is image[i::S, j::S]."""
    return rearrange(image, "... (h s) (w t) c -> ... (s t) h w c", s=subscale, t=subscale)


def from_slices(slices: Bytes, subscale: int) -> Bytes:
    """Join (..., K, h, w, C) to (..., H, W, C): the inverse of `to_slices`."""
    return rearrange(slices, "... (s t) h w c -> ... (h s) (w t) c", s=subscale, t=subscale)


def split_depth(image: Bytes, fine_bits: int) -> tuple[Bytes, Bytes]:
    """Return the most significant bits, and the rest, both as small integers of the same shape."""
    return image >> np.uint8(fine_bits), image & np.uint8((1 << fine_bits) - 1)


def join_depth(coarse: Bytes, fine: Bytes, fine_bits: int) -> Bytes:
    """Join coarse and fine values: the inverse of `split_depth`."""
    return (coarse << np.uint8(fine_bits)) | fine


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The finished slices of one image: the first `len(slices)` steps of its geometry.

    Each slice is (h, w, C) uint8: coarse values from base and size, fine values from depth.
    """

    geometry: Geometry
    slices: tuple[Bytes, ...] = ()

    @classmethod
    def of(cls, image: Bytes, geometry: Geometry, steps: int | None = None) -> Self:
        """Return the progress of `image`, (H, W, C) uint8, after its first `steps` slices; None is all."""
        order = list(geometry.sampling_order)
        coarse, fine = (to_slices(part, geometry.subscale)[order] for part in split_depth(image, geometry.fine_bits))
        return cls(geometry=geometry, slices=(*coarse, *fine)[:steps])

    @classmethod
    def of_level(cls, image: Bytes, geometry: Geometry) -> Self:
        """Return the progress whose known pixels are `image`, (m, m, C) uint8, m one of `geometry.level_sizes`."""
        level = cls.of(image, replace(geometry, size=len(image)))
        return cls(geometry=geometry, slices=level.slices[: level.geometry.slices])

    @property
    def done(self) -> int:
        """Number of finished slices."""
        return len(self.slices)

    @property
    def next(self) -> Step | None:
        """The next slice to sample; None when the image is complete."""
        steps = self.geometry.steps
        return steps[self.done] if self.done < len(steps) else None

    def with_slice(self, values: Bytes) -> Progress:
        """Return the progress with one slice more. Raises ConfigError if `values` is not the next (h, w, C) slice."""
        g, step = self.geometry, self.next
        shape = g.slice_shape
        if step is None or values.shape != shape or values.dtype != np.uint8:
            msg = (
                f"expected {'no more slices' if step is None else f'uint8 {shape}'}, got {values.dtype} {values.shape}"
            )
            raise ConfigError(msg)
        if values.size and int(values.max()) >> g.target_bits(step.stage):
            msg = f"a {step.stage} slice holds {g.target_bits(step.stage)} bits per sub-pixel, got {int(values.max())}"
            raise ConfigError(msg)
        following = replace(self, slices=(*self.slices, values))
        if "values" in self.__dict__:  # a sampler reads them: a copy with one slice more is cheap
            following.__dict__["values"] = self._values_with(step, values)
        return following

    @cached_property
    def values(self) -> tuple[Bytes, Bytes]:
        """Coarse and fine values, (H, W, C) each, 0 where unknown. Others share the arrays, so they must not be changed."""
        return self._joined()

    def _joined(self) -> tuple[Bytes, Bytes]:
        g = self.geometry
        parts = []
        for finished in (self.slices[: g.slices], self.slices[g.slices :]):
            values = np.zeros((g.slices, *g.slice_shape), np.uint8)
            if finished:
                values[list(g.sampling_order[: len(finished)])] = finished
            parts.append(from_slices(values, g.subscale))
        coarse, fine = parts
        return coarse, fine

    def _values_with(self, step: Step, values: Bytes) -> tuple[Bytes, Bytes]:
        """Return `values` with those of one slice more."""
        s, (coarse, fine) = self.geometry.subscale, self.values
        changed = (fine if step.stage is Stage.DEPTH else coarse).copy()
        changed[step.slice // s :: s, step.slice % s :: s] = values
        return (coarse, changed) if step.stage is Stage.DEPTH else (changed, fine)

    def known(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return masks of the pixels whose coarse, and of those whose fine value is known, (H, W) each."""
        g, masks = self.geometry, []
        for count in (min(self.done, g.slices), max(self.done - g.slices, 0)):
            known = np.zeros(g.slices, np.bool_)
            known[list(g.sampling_order[:count])] = True
            masks.append(np.tile(known.reshape(g.subscale, g.subscale), (g.slice_size, g.slice_size)))
        coarse, fine = masks
        return coarse, fine

    def image(self) -> Bytes:
        """Return the image so far, (H, W, C) uint8 in full range. Raises ConfigError before the first slice.

        Known pixels are exact. Missing fine bits are the middle of their interval. Other pixels copy the nearest known slice.
        """
        if not self.slices:
            msg = "an image needs at least one finished slice; this one has none"
            raise ConfigError(msg)
        g = self.geometry
        # Not by `values`: the API keeps many images, and would keep these arrays beside each.
        (coarse, fine), (coarse_known, fine_known) = self._joined(), self.known()
        middle = np.uint8(1 << (g.fine_bits - 1))
        value = join_depth(coarse, np.where(fine_known[..., None], fine, middle), g.fine_bits)
        if self.done < g.slices:
            value = value[nearest_known(coarse_known, g.subscale)]
        return to_full_range(value, g.bits)


def nearest_known(known: NDArray[np.bool_], subscale: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and column of the nearest known pixel for each pixel of an (H, W) mask of whole slices."""
    size = known.shape[0]
    offsets = [(i, j) for i in range(subscale) for j in range(subscale) if known[i, j]]
    rows, columns = np.empty_like(known, np.intp), np.empty_like(known, np.intp)
    axis = np.arange(size)
    for i in range(subscale):
        for j in range(subscale):
            di, dj = min(offset_candidates(offsets, (i, j), subscale), key=lambda d: d[0] ** 2 + d[1] ** 2)
            r, c = inside(axis[i::subscale] + di, subscale, size), inside(axis[j::subscale] + dj, subscale, size)
            rows[i::subscale, j::subscale] = r[:, None]
            columns[i::subscale, j::subscale] = c[None, :]
    return rows, columns


def offset_candidates(offsets: list[tuple[int, int]], target: tuple[int, int], subscale: int) -> list[tuple[int, int]]:
    """Return distances from slice offset `target` to each pixel of the slices `offsets` in the cells around it."""
    i, j = target
    cells = (-subscale, 0, subscale)
    return [(a + u - i, b + v - j) for a, b in offsets for u in cells for v in cells]


def inside(index: NDArray[np.intp], subscale: int, size: int) -> NDArray[np.intp]:
    """Move indices outside the image back by one cell, so that they stay in their slice."""
    index = np.where(index < 0, index + subscale, index)
    return np.where(index >= size, index - subscale, index)


def to_full_range(value: Bytes, bits: int) -> Bytes:
    """Stretch values of `bits` bits to 0..255; the identity for 8 bits."""
    top = (1 << bits) - 1
    return value if bits == 8 else ((value.astype(np.uint16) * 255 + top // 2) // top).astype(np.uint8)  # noqa: PLR2004
