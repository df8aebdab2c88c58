"""Slices, bits and the state of an image between slices."""

from dataclasses import replace

import numpy as np
import pytest

from models.config import Geometry, Order, Stage
from models.errors import ConfigError
from models.subscale import Bytes, Progress, from_slices, split_depth, to_slices

SIZES = [(32, 16), (64, 16), (128, 32), (256, 32)]


def random_image(size: int, seed: int = 0) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize(("size", "slice_size"), SIZES)
@pytest.mark.parametrize("order", Order)
def test_slices_and_bits_round_trip(size: int, slice_size: int, order: Order) -> None:
    """An image cut into all its slices and put together again is the same image."""
    image, geometry = random_image(size), Geometry(size=size, slice_size=slice_size, order=order)
    assert (Progress.of(image, geometry).image() == image).all()
    assert (from_slices(to_slices(image, geometry.subscale), geometry.subscale) == image).all()


@pytest.mark.parametrize("order", Order)
def test_values_kept_from_slice_to_slice_are_those_of_all_slices(order: Order) -> None:
    """After each of the 2K slices; and an image that has had its values read keeps them."""
    whole = Progress.of(random_image(16), Geometry(size=16, slice_size=4, order=order))
    grown = Progress(geometry=whole.geometry)
    for count, values in enumerate(whole.slices, 1):
        before, kept = grown, [part.copy() for part in grown.values]
        grown = grown.with_slice(values)
        anew = replace(whole, slices=whole.slices[:count])
        assert all((one == other).all() for one, other in zip(grown.values, anew.values, strict=True))
        assert all((one == other).all() for one, other in zip(before.values, kept, strict=True))
    assert (grown.image() == whole.image()).all()


def test_slice_k_is_the_strided_subsample() -> None:
    """Slice k = i * S + j is image[i::S, j::S]."""
    image = random_image(8)
    assert (to_slices(image, 2)[3] == image[1::2, 1::2]).all()
    assert (to_slices(image, 4)[6] == image[1::4, 2::4]).all()


def test_interlaced_slices_come_level_by_level() -> None:
    """Columns between the known ones, then rows: after 1, 4 and 16 slices every fourth, second and each pixel is known."""
    geometry = Geometry(size=16, slice_size=4, order=Order.INTERLACED)
    assert geometry.sampling_order == (0, 2, 8, 10, 1, 3, 9, 11, 4, 5, 6, 7, 12, 13, 14, 15)
    assert [geometry.sampling_order[rank] for rank in geometry.ranks] == list(range(16))
    for slices, every in ((1, 4), (4, 2), (16, 1)):
        known, _ = Progress.of(random_image(16), geometry, slices).known()
        expected = np.zeros((16, 16), bool)
        expected[::every, ::every] = True
        assert (known == expected).all()


@pytest.mark.parametrize("subscale", [1, 2, 4, 8])
def test_the_nearest_known_pixel_is_at_the_distance_of_the_level(subscale: int) -> None:
    """In its row or column; none is nearer. A level has two kinds of slices: those in known rows and those in new ones."""
    geometry = Geometry(size=4 * subscale, slice_size=4, order=Order.INTERLACED)
    places = [divmod(k, subscale) for k in range(geometry.slices)]
    kinds = set()
    for k, (i, j) in list(enumerate(places))[1:]:
        earlier = [places[other] for other in geometry.sampling_order[: geometry.ranks[k]]]
        known = [(0, (b - j) % subscale) for a, b in earlier if a == i] + [
            ((a - i) % subscale, 0) for a, b in earlier if b == j
        ]
        nearest = min(min(max(away), subscale - max(away)) for away in known)
        assert geometry.distances[k] == nearest
        kinds.add((geometry.kinds[k], nearest, i % (2 * nearest)))
    assert len(kinds) == len({kind for kind, *_ in kinds}) == 2 * (subscale.bit_length() - 1)
    assert geometry.kinds[0] == 0
    assert max(geometry.kinds) < geometry.kind_count


def test_the_raster_order_is_that_of_slices() -> None:
    geometry = Geometry(size=16, slice_size=4)
    assert geometry.sampling_order == geometry.ranks == geometry.kinds == tuple(range(16))
    assert geometry.distances == (1,) * 16


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("steps", range(1, 8))
def test_partial_pictures_are_exact_where_known(steps: int, order: Order) -> None:
    """Known pixels keep their coarse bits, finished ones all their bits; the rest copies a known neighbour."""
    image, geometry = random_image(32), Geometry(size=32, slice_size=8, order=order)
    progress = Progress.of(image, geometry, steps)
    shown = progress.image()
    coarse_known, fine_known = progress.known()
    assert (shown[coarse_known] >> 5 == image[coarse_known] >> 5).all()
    assert (shown[fine_known] == image[fine_known]).all()
    assert set(map(tuple, shown[~coarse_known])) <= set(map(tuple, shown[coarse_known]))


def test_order_is_base_size_depth() -> None:
    """2K steps: one base slice, K - 1 of size, K of depth; no size stage where S = 1."""
    stages = [step.stage for step in Geometry(size=64, slice_size=16).steps]
    assert [stages.count(stage) for stage in Stage] == [1, 15, 16]
    assert stages == sorted(stages, key=list(Stage).index)
    assert Geometry(size=16, slice_size=16).stages == (Stage.BASE, Stage.DEPTH)


def test_a_wrong_slice_is_refused() -> None:
    """Shape and bit range are checked before a slice is taken in."""
    progress = Progress(geometry=Geometry(size=8, slice_size=4))
    shallow, wide, deep = np.zeros((4, 4, 1), np.uint8), np.zeros((8, 8, 3), np.uint8), np.full((4, 4, 3), 8, np.uint8)
    for bad in (shallow, wide, deep):
        with pytest.raises(ConfigError):
            progress.with_slice(bad)
    coarse, _ = split_depth(random_image(8), 5)
    assert progress.with_slice(to_slices(coarse, 2)[0]).done == 1


def test_impossible_geometries_are_refused() -> None:
    """Sizes that do not divide and more than eight bits have no slices."""
    with pytest.raises(ConfigError, match="divide"):
        Geometry(size=30, slice_size=16)
    with pytest.raises(ConfigError, match="power of two for size / slice_size, got 3"):
        Geometry(size=12, slice_size=4, order=Order.INTERLACED)
    with pytest.raises(ConfigError, match="at most 8"):
        Geometry(size=32, slice_size=16, coarse_bits=4)
