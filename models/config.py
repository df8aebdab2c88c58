"""Configuration of a model: image geometry, controls, widths. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final, NamedTuple, Self

from models.errors import ConfigError, ControlError

ANY = 0
"""The control index that means "no choice"; value v of a control has index v + 1."""


LABEL = "label"
"""Name of the control that says what the image shows. A verifier predicts it, and chooses candidates by it."""


class Stage(StrEnum):
    """The three networks, in sampling order (arXiv:1812.01608, section 3)."""

    BASE = "base"
    SIZE = "size"
    DEPTH = "depth"


class Step(NamedTuple):
    """One slice to sample: the stage of its network, and its number k = i * S + j."""

    stage: Stage
    slice: int


class Order(StrEnum):
    """The order in which a stage samples its slices; slice k = i * S + j always holds the pixels [i::S, j::S].

    `raster`: by k, the paper's (arXiv:1812.01608, section 3.1). `interlaced`: coarse to fine, each level halves the
    distance between known pixels, first along the rows, then along the columns (as Adam7 of PNG, ISO/IEC 15948:2003, 8.2).
    A network sees every level alike, at that level's distance, so that its parameters do not depend on S.
    """

    RASTER = "raster"
    INTERLACED = "interlaced"


INTERLACED_RADIUS: Final = 4
"""Known pixels on each side that the embedder sees in interlaced order, each a level's distance from the next."""

_LEVELS: Final = 8
"""Levels that an interlaced network can tell apart: S up to 256."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The split of an image: H x W x C pixels into S * S slices, each sub-pixel into coarse and fine bits."""

    size: int
    slice_size: int
    channels: int = 3
    coarse_bits: int = 3
    fine_bits: int = 5
    order: Order = Order.RASTER

    def __post_init__(self) -> None:
        if min(self.size, self.slice_size, self.channels, self.coarse_bits, self.fine_bits) < 1:
            msg = f"every field of a geometry must be at least 1, got {self}"
            raise ConfigError(msg)
        if self.size % self.slice_size:
            msg = f"slice_size must divide size, got {self.slice_size} and {self.size}"
            raise ConfigError(msg)
        if self.bits > 8:  # noqa: PLR2004 - images are stored as bytes
            msg = f"coarse_bits + fine_bits must be at most 8, got {self.bits}"
            raise ConfigError(msg)
        if self.order is Order.INTERLACED and self.subscale.bit_count() != 1:
            msg = f"interlaced slices need a power of two for size / slice_size, got {self.subscale}"
            raise ConfigError(msg)

    @property
    def subscale(self) -> int:
        """S: slices side by side, the subscale factor."""
        return self.size // self.slice_size

    @property
    def slices(self) -> int:
        """K = S * S: slices that cover the image once."""
        return self.subscale**2

    @property
    def slice_shape(self) -> tuple[int, int, int]:
        """(h, w, C) of a slice."""
        return (self.slice_size, self.slice_size, self.channels)

    @property
    def positions(self) -> int:
        """N: pixels in a slice."""
        return self.slice_size**2

    @property
    def bits(self) -> int:
        """Bits per sub-pixel of the image."""
        return self.coarse_bits + self.fine_bits

    @property
    def dimensions(self) -> int:
        """H * W * C: the dimensions in bits per dimension."""
        return self.size**2 * self.channels

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """All 2K slices in sampling order: base slice 0, size the others, depth all. Without size stage where S = 1."""
        base, *others = self.sampling_order
        size, depth = (Step(Stage.SIZE, k) for k in others), (Step(Stage.DEPTH, k) for k in self.sampling_order)
        return (Step(Stage.BASE, base), *size, *depth)

    @cached_property
    def sampling_order(self) -> tuple[int, ...]:
        """All slices k in the order in which they are sampled; slice 0 is the first."""
        return interlaced(self.subscale) if self.order is Order.INTERLACED else tuple(range(self.slices))

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """Number of slices before slice k, for each k: the inverse of `sampling_order`."""
        return tuple(sorted(range(self.slices), key=self.sampling_order.__getitem__))

    @cached_property
    def distances(self) -> tuple[int, ...]:
        """Pixels from a pixel of slice k to the nearest one that may be known in its row or column, for each k.

        For interlaced slice 0 it is such that a window reaches the neighbours in that slice, from S = 4 on.
        """
        if self.order is Order.RASTER:
            return (1,) * self.slices
        first = max(1, self.subscale // INTERLACED_RADIUS)
        return tuple(lowest_bit(k // self.subscale | k % self.subscale) or first for k in range(self.slices))

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """Sides of the smaller images of every n-th pixel that the first slices hold: the first slice, each later level."""
        if self.order is Order.RASTER:
            return (self.slice_size,)
        return tuple(self.slice_size << level for level in range(self.subscale.bit_length() - 1)) or (self.slice_size,)

    def start_sizes(self, stage: Stage) -> tuple[int, ...]:
        """Return the sides of a given image with which `stage` can start: size continues a smaller image, depth a whole one."""
        return (self.size,) if stage is Stage.DEPTH else self.level_sizes

    @property
    def radius(self) -> int:
        """Pixels on each side of a target pixel that the embedder sees."""
        return self.subscale if self.order is Order.RASTER else INTERLACED_RADIUS

    @cached_property
    def kinds(self) -> tuple[int, ...]:
        """The place of slice k in the order, for each k: k in raster order, else its level, and whether its rows are new."""
        if self.order is Order.RASTER:
            return tuple(range(self.slices))
        later = list(enumerate(self.distances))[1:]
        return (0, *(2 * d.bit_length() - (lowest_bit(k // self.subscale) == d) for k, d in later))

    @property
    def kind_count(self) -> int:
        """Places in the order that a network tells apart."""
        return self.slices if self.order is Order.RASTER else 1 + 2 * _LEVELS

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of this geometry, in order."""
        return tuple(dict.fromkeys(step.stage for step in self.steps))

    def target_bits(self, stage: Stage) -> int:
        """Return the bits per sub-pixel that `stage` predicts: log2 V."""
        return self.fine_bits if stage is Stage.DEPTH else self.coarse_bits


def lowest_bit(number: int) -> int:
    """Return the largest power of two that divides a number; 0 for 0."""
    return number & -number


def interlaced(subscale: int) -> tuple[int, ...]:
    """Return the slices of S x S level by level: new columns between the known ones, then new rows. S is a power of two."""
    found, step = [(0, 0)], subscale
    while step > 1:
        known, new = range(0, subscale, step), range(step // 2, subscale, step)
        found += [(i, j) for i in known for j in new]
        found += [(i, j) for i in new for j in range(0, subscale, step // 2)]
        step //= 2
    return tuple(i * subscale + j for i, j in found)


@dataclass(frozen=True, kw_only=True)
class Control:
    """A named categorical choice, e.g. hue: blue. `ANY` is no choice."""

    name: str
    values: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Other names of values, e.g. house: home. Raises ConfigError for one that names no value, or shadows one."""

    def __post_init__(self) -> None:
        for alias, value in self.aliases.items():
            if value not in self.values:
                raise ConfigError(f"{self.name}: alias {alias!r} must name a value, got {value!r}")
            if alias in self.values:
                raise ConfigError(f"{self.name}: alias {alias!r} must not be a value itself")

    def index(self, value: str | None) -> int:
        """Return the index of a value or an alias; None is `ANY`. Raises ControlError for an unknown value."""
        if value is None:
            return ANY
        value = self.aliases.get(value, value)
        if value not in self.values:
            msg = f"{self.name} has no value {value!r}; it has: {', '.join(self.values)}"
            raise ControlError(msg)
        return self.values.index(value) + 1


def control_indices(controls: tuple[Control, ...], requested: Mapping[str, str]) -> tuple[int, ...]:
    """Return one index per control, in the model's order. Raises ControlError for an unknown name or value."""
    names = [control.name for control in controls]
    if unknown := sorted(set(requested) - set(names)):
        msg = f"no control {unknown[0]!r}; there are: {', '.join(names) or 'none'}"
        raise ControlError(msg)
    return tuple(control.index(requested.get(control.name)) for control in controls)


@dataclass(frozen=True, kw_only=True)
class Temperatures:
    """The divisor of each network's logits; 1 is the model's own distribution."""

    base: float = 1.0
    size: float = 1.0
    depth: float = 1.0

    @classmethod
    def alike(cls, temperature: float) -> Self:
        """Return the same temperature for all networks."""
        return cls(base=temperature, size=temperature, depth=temperature)

    def of(self, stage: Stage) -> float:
        """Return the temperature of a network."""
        return {Stage.BASE: self.base, Stage.SIZE: self.size, Stage.DEPTH: self.depth}[stage]


MODEL_TEMPERATURES: Final = Temperatures()
"""Temperature 1 everywhere."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How one image is sampled. The defaults are the model's own distribution, exactly.

    `guidance`: how closely the guided networks of the card follow the controls; 1 is as trained. `candidates`: base slices
    to choose from; the verifier keeps one.
    """

    temperature: Temperatures = MODEL_TEMPERATURES
    guidance: float = 1.0
    candidates: int = 1


MODEL_SAMPLING: Final = Sampling()
"""The model's own distribution."""


@dataclass(frozen=True, kw_only=True)
class Widths:
    """The size of one network. The paper does not give its widths; these are ours.

    `maps`: names of the controls that enter at each position of the slice by a learned map of `map_channels`, beside the
    vector that every control has (docs/decisions/014).
    """

    width: int
    blocks: int
    heads: int
    conv_width: int
    reach: int = 2
    expansion: int = 2
    embedder_blocks: int = 3
    maps: tuple[str, ...] = ()
    map_channels: int = 8

    def __post_init__(self) -> None:
        if self.width % self.heads:
            msg = f"heads must divide width, got {self.heads} and {self.width}"
            raise ConfigError(msg)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything needed to build the three networks with random weights."""

    geometry: Geometry
    controls: tuple[Control, ...]
    widths: Mapping[Stage, Widths]

    def __post_init__(self) -> None:
        if missing := [stage for stage in self.geometry.stages if stage not in self.widths]:
            msg = f"widths missing for stages: {', '.join(missing)}"
            raise ConfigError(msg)
        names = {control.name for control in self.controls}
        if unknown := sorted({name for widths in self.widths.values() for name in widths.maps} - names):
            msg = f"maps must name controls of the model, got {', '.join(unknown)}"
            raise ConfigError(msg)
