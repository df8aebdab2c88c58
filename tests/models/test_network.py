"""Causality, normalisation and size of the three networks."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from models.config import Control, Geometry, ModelConfig, Order, Stage, Widths
from models.embedder import DirectionalSums
from models.network import Network, build
from tests.harness.toy import toy_networks

GEOMETRY = Geometry(size=8, slice_size=4)
CASES = [(step.stage, step.slice) for step in GEOMETRY.steps]


def parts(image: Tensor, geometry: Geometry = GEOMETRY) -> tuple[Tensor, Tensor]:
    return image >> geometry.fine_bits, image & ((1 << geometry.fine_bits) - 1)


def network_of(stage: Stage) -> Network:
    network = toy_networks(GEOMETRY)[stage].double()
    assert isinstance(network, Network)
    return network


def logits(network: Network, images: Tensor, k: int) -> Tensor:
    coarse, fine = parts(images)
    index, controls = torch.full((len(images),), k), torch.tensor([[1, 2, 0]]).expand(len(images), -1)
    symbols = network.target(coarse, fine, index)
    out: Tensor = network.logits(network.condition(coarse, fine, index, controls), symbols)
    return out


def order(stage: Stage, y: int, x: int, channel: int, *, fine: bool) -> tuple[int, int, int, int]:
    """When a sub-pixel's coarse or fine bits are sampled within a stage's view: (slice, position, channel) or always known."""
    if stage is Stage.DEPTH and not fine:
        return (-1, 0, 0, 0)
    if stage is not Stage.DEPTH and fine:
        return (99, 0, 0, 0)
    return (0, (y % 2) * 2 + x % 2, (y // 2) * 4 + x // 2, channel)


@pytest.mark.parametrize(("stage", "k"), CASES)
def test_a_sub_pixel_sees_its_past_and_nothing_else(stage: Stage, k: int) -> None:
    """Changing any one sub-pixel's coarse or fine bits changes logits after it, all of its past matters, none before it."""
    network = network_of(stage)
    image = torch.randint(0, 256, (1, 8, 8, 3), generator=torch.Generator().manual_seed(3))
    places = list(itertools.product(range(8), range(8), range(3), (False, True)))
    changed = image.repeat(len(places), 1, 1, 1)
    for row, (y, x, channel, fine) in zip(changed, places, strict=True):
        row[y, x, channel] ^= 1 if fine else 1 << GEOMETRY.fine_bits
    moved = (logits(network, changed, k) != logits(network, image.repeat(len(places), 1, 1, 1), k)).any(-1)  # (_, N, C)
    mattered = dict.fromkeys(("same slice", "earlier slice", "coarse under depth"), False)
    for (y, x, channel, fine), seen in zip(places, moved, strict=True):
        when = order(stage, y, x, channel, fine=fine)
        later = [not seen[n, c] for n, c in itertools.product(range(16), range(3)) if when >= (0, k, n, c)]
        assert all(later), (y, x, channel, fine)
        if seen.any():
            kind = "coarse under depth" if when[0] < 0 else "same slice" if when[1] == k else "earlier slice"
            mattered[kind] = True
    assert mattered["same slice"]
    assert mattered["earlier slice"] == (k > 0)
    assert mattered["coarse under depth"] == (stage is Stage.DEPTH)


@pytest.mark.parametrize("stage", Stage)
def test_controls_matter(stage: Stage) -> None:
    """Another value of any control gives other logits."""
    network = network_of(stage)
    coarse, fine = parts(torch.randint(0, 256, (1, 8, 8, 3)))
    k = torch.tensor([1 if stage is Stage.SIZE else 0])
    symbols = network.target(coarse, fine, k)
    requested = [torch.tensor([v]) for v in ([0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1])]
    sampled = [network.logits(network.condition(coarse, fine, k, c[None, 0]), symbols) for c in requested]
    assert all((sampled[0] != other).any() for other in sampled[1:])


def test_a_toy_models_probabilities_sum_to_one() -> None:
    """One channel, 2 x 2, 1 + 1 bits: the joint of all 256 images, by stages and slices, sums to one."""
    geometry = Geometry(size=2, slice_size=1, channels=1, coarse_bits=1, fine_bits=1)
    networks = toy_networks(geometry).double()
    images = torch.tensor(list(itertools.product(range(4), repeat=4))).view(-1, 2, 2, 1)
    coarse, fine = parts(images, geometry)
    controls = torch.zeros(len(images), 3, dtype=torch.long)
    nats = torch.zeros(len(images), dtype=torch.float64)
    for step in geometry.steps:
        k = torch.full((len(images),), step.slice)
        nats += networks[step.stage](coarse, fine, k, controls).sum((1, 2))
    assert math.isclose(float((-nats).exp().sum()), 1.0, rel_tol=1e-9)
    assert float(nats.std()) > 0.01


@pytest.mark.parametrize("order", Order)
def test_four_by_four_slices_sum_to_one_in_either_order(order: Order) -> None:
    """One channel, 4 x 4, slices of one pixel, the first four as they are: all 2^12 images of coarse and of fine bits."""
    geometry = Geometry(size=4, slice_size=1, channels=1, coarse_bits=1, fine_bits=1, order=order)
    networks, (first, later) = (
        toy_networks(geometry),
        (list(geometry.sampling_order[:4]), list(geometry.sampling_order[4:])),
    )
    every = torch.tensor([0, 1] * 8).repeat(2**12, 1)
    every[:, later] = torch.tensor(list(itertools.product(range(2), repeat=12)))
    every = every.view(-1, 4, 4, 1)
    controls, one = torch.zeros(len(every), 3, dtype=torch.long), every[1365].expand_as(every)
    for depth, coarse, fine in ((False, every, one), (True, one, every)):
        nats = torch.zeros(len(every), dtype=torch.float64)
        for step in geometry.steps:
            if (step.stage is Stage.DEPTH) is depth and step.slice not in first:
                nats += networks[step.stage](coarse, fine, torch.full((len(every),), step.slice), controls).sum((1, 2))
        assert math.isclose(float((-nats).exp().sum()), 1.0, rel_tol=1e-5)
        assert float(nats.std()) > 0.01


@pytest.mark.parametrize("stage", [Stage.SIZE, Stage.DEPTH])
def test_interlaced_slices_see_those_sampled_before_them_and_no_others(stage: Stage) -> None:
    """Each slice's logits move with every slice of an earlier rank, and with none of a later one."""
    geometry = Geometry(size=16, slice_size=4, order=Order.INTERLACED)
    network, ranks = toy_networks(geometry)[stage].double(), geometry.ranks
    assert isinstance(network, Network)
    image = torch.randint(0, 256, (1, 16, 16, 3), generator=torch.Generator().manual_seed(3))
    for step in (step for step in geometry.steps if step.stage is stage):
        for other in range(geometry.slices):
            changed = image.clone()
            changed[:, other // 4 :: 4, other % 4 :: 4] ^= 0b11111 if stage is Stage.DEPTH else 0b111_00000
            k, controls = torch.tensor([step.slice]), torch.zeros(1, 3, dtype=torch.long)
            first, second = (network.condition(*parts(each), k, controls) for each in (image, changed))
            moved = any((a != b).any() for a, b in zip(first, second, strict=True))
            assert moved == (ranks[other] < ranks[step.slice]), (step, other)


@pytest.mark.parametrize("order", Order)
def test_parameters_do_not_grow_with_the_image(order: Order) -> None:
    """64, 128 and 256 with one slice size: in raster order the first layer and the meta-positions grow, else nothing."""

    def shapes(size: int) -> dict[str, torch.Size]:
        widths = Widths(width=8, blocks=1, heads=2, conv_width=4, embedder_blocks=1)
        config = ModelConfig(
            geometry=Geometry(size=size, slice_size=32, order=order),
            controls=(Control(name="label", values=("A",)),),
            widths=dict.fromkeys(Stage, widths),
        )
        return {name: t.shape for name, t in build(config).state_dict().items()}

    small, middle, large = shapes(64), shapes(128), shapes(256)
    differing = {name.split(".", 1)[1] for name in small if not small[name] == middle[name] == large[name]}
    grown = {"embedder.first.weight", "embedder.meta_position.weight"}
    assert differing == (grown if order is Order.RASTER else set())


def test_an_interlaced_level_is_seen_like_that_of_a_smaller_image() -> None:
    """Every other pixel, as an image of its own, gives the conditioning of the coarser levels, but for their own embedding."""
    whole, small = (Geometry(size=size, slice_size=4, order=Order.INTERLACED) for size in (32, 16))
    network, same = (toy_networks(g)[Stage.SIZE] for g in (whole, small))
    assert isinstance(network, Network)
    assert isinstance(same, Network)
    network.embedder.meta_position.weight.data.zero_()
    same.load_state_dict(network.state_dict())
    image = torch.randint(0, 256, (1, 32, 32, 3), generator=torch.Generator().manual_seed(5))
    controls = torch.zeros(1, 3, dtype=torch.long)
    level = range(small.slices)
    coarser = [whole.subscale * 2 * (k // small.subscale) + 2 * (k % small.subscale) for k in level]
    assert [whole.sampling_order[rank] for rank in level] == [coarser[k] for k in small.sampling_order]
    for k in range(1, small.slices):
        seen = network.condition(*parts(image), torch.tensor([coarser[k]]), controls)
        alone = same.condition(*parts(image[:, ::2, ::2]), torch.tensor([k]), controls)
        for first, second in zip(seen, alone, strict=True):
            assert torch.equal(first, second) or torch.allclose(first, second, atol=1e-6), k


def test_directional_sums_are_over_the_positions_of_each_side() -> None:
    """With a mix of one direction alone, a position has the sum of its row or column up to itself, by the side."""
    width, side = 3, 4
    sums = DirectionalSums(width)
    x = torch.rand(2, width, side, side, generator=torch.Generator().manual_seed(1))
    active = torch.nn.functional.gelu(x) / side
    assert torch.equal(sums(x), x), "a new branch changes nothing"
    for part in range(4):
        weight = torch.zeros(width, 4, width, 1, 1)
        weight[:, part] = torch.eye(width)[..., None, None]
        sums.mix.weight.data = weight.flatten(1, 2)
        for row, column in itertools.product(range(side), repeat=2):
            across, down = active[:, :, row], active[:, :, :, column]
            seen = (across[..., : column + 1], across[..., column:], down[..., : row + 1], down[..., row:])[part]
            assert torch.allclose((sums(x) - x)[:, :, row, column], seen.sum(-1), atol=1e-6)
