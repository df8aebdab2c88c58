"""The persistent kernel in Triton's interpreter, on a CPU: the slices of the torch modules, whatever shares a batch.

Where there is a GPU it is compiled and runs there instead.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import Any

import pytest
import torch

triton = pytest.importorskip("triton", reason="needs triton: make kernel")

from models.config import Geometry, Sampling, Stage, Temperatures, Widths  # noqa: E402 - needs triton
from models.decoder import IMAGE_FORECASTS, NEIGHBOURS, SLICE_FORECASTS  # noqa: E402
from models.errors import ConfigError, NotFiniteError  # noqa: E402
from models.network import Network, build  # noqa: E402
from models.pipeline import ImageState, Pipeline  # noqa: E402
from models.sampling.backends.eager import EagerBackend  # noqa: E402
from models.sampling.backends.persistent import PersistentBackend, fits  # noqa: E402
from models.sampling.batch_filling import uncaptured  # noqa: E402
from models.sampling.deal import SamplerName  # noqa: E402
from models.sampling.guidance import guided  # noqa: E402
from models.sampling.persistent.weights import Weights  # noqa: E402
from models.sampling.workspace import Workspace  # noqa: E402
from tests.harness.image_states import after, last_steps, next_slices, states  # noqa: E402
from tests.harness.toy import ToyVerifier, toy_card, toy_config  # noqa: E402
from tests.models.sampling.persistent import probes  # noqa: E402

GEOMETRY = Geometry(size=4, slice_size=2)
"""Four positions in a slice: the interpreter takes half a second for each."""

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
KERNEL = partial(PersistentBackend, capture=uncaptured)
SHAPES = {"rows": 0, "windows": 1000}
"""Programs at a time: a program has many rows if there are fewer, else the window of one."""


@pytest.fixture(autouse=True)
def bfloat16_in_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of bfloat16: Triton 3.7's interpreter multiplies their bits as integers."""
    from triton.runtime.interpreter import InterpreterBuilder  # noqa: PLC0415 - needs triton

    product = InterpreterBuilder.create_dot

    def in_float32(builder: Any, left: Any, right: Any, *rest: Any) -> Any:  # noqa: ANN401 - of triton
        sides = (
            builder.cast_impl(side, triton.language.float32) if side.dtype.scalar == triton.language.bfloat16 else side
            for side in (left, right)
        )
        return product(builder, *sides, *rest)

    monkeypatch.setattr(InterpreterBuilder, "create_dot", in_float32)


def pipelines(
    geometry: Geometry, *, capacity: int = 8, shape: str = "rows", **widths: int
) -> tuple[Pipeline, Pipeline]:
    """Return the same random networks, with some widths changed, by torch and by the kernel in float32."""
    config = toy_config(geometry)
    changed = {stage: Widths(**{**asdict(each), **widths}) for stage, each in config.widths.items()}
    card = replace(toy_card(geometry), config=replace(config, widths=changed))
    networks, generator = build(card.config), torch.Generator().manual_seed(1)
    for parameter in networks.parameters():
        parameter.data.normal_(0, 0.3 if parameter.ndim < 2 else parameter[0].numel() ** -0.5, generator=generator)
    networks.to(DEVICE).eval().requires_grad_(requires_grad=False)
    plain, kernel = (
        Pipeline(networks, card, capacity=capacity, verifier=ToyVerifier(), backend=backend)
        for backend in (EagerBackend, partial(KERNEL, bfloat16=False, programs=SHAPES[shape]))
    )
    assert "persistent" in kernel.numerics
    return plain, kernel


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("done", last_steps(GEOMETRY))
def test_the_kernel_samples_what_torch_does(done: int, shape: str) -> None:
    """Every network, with images resumed before its last slice: guidance, temperatures, candidates beside plain rows."""
    plain, kernel = pipelines(GEOMETRY, shape=shape)
    rows = states(4, GEOMETRY)
    assert len({state.sampling.guidance for state in rows}) == 3
    sampled = next_slices(kernel, rows, [done])
    assert sampled == next_slices(plain, rows, [done])
    assert len(set(sampled)) == len(rows)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("geometry", "widths"),
    [
        (Geometry(size=4, slice_size=2), {"width": 48, "heads": 3, "conv_width": 24, "blocks": 1, "reach": 1}),
        (Geometry(size=2, slice_size=2, channels=1), {"expansion": 3, "blocks": 1}),
        (Geometry(size=4, slice_size=2, coarse_bits=5, fine_bits=3), {"expansion": 1, "blocks": 1, "reach": 1}),
        (Geometry(size=4, slice_size=2, coarse_bits=1, fine_bits=1), {"blocks": 1, "reach": 1}),
    ],
)
def test_the_kernel_samples_every_network_as_torch_does(geometry: Geometry, widths: dict[str, int], shape: str) -> None:
    """Widths that need padding, one channel, other bits and expansions."""
    plain, kernel = pipelines(geometry, shape=shape, **widths)
    rows = [replace(row, sampling=replace(row.sampling, candidates=1)) for row in states(3, geometry)]
    last = [len(geometry.steps) - 1]
    assert next_slices(kernel, rows, last) == next_slices(plain, rows, last)


LONG = Geometry(size=12, slice_size=6)
"""More positions in a slice than a window or a block of keys has."""


@pytest.mark.gpu
@pytest.mark.parametrize(("guidance", "window"), [(1.0, 16), (3.0, 8)])
def test_a_window_is_accepted_as_torch_accepts_it(guidance: float, window: int) -> None:
    """A row alone, with all tokens of a program: the same guesses, and so as many passes as torch makes with such windows."""
    plain, kernel = pipelines(LONG, capacity=window, shape="windows", blocks=1, reach=1)
    rows = cold(1, guidance=guidance)
    for stage, done in zip(LONG.stages, last_steps(LONG), strict=True):
        if guidance == 1 or stage in plain.card.guided:  # else this row has another window
            assert next_slices(kernel, rows, [done]) == next_slices(plain, rows, [done])
            assert kernel.engines[stage].passes == plain.engines[stage].passes < LONG.slice_size**2


def cold(count: int, guidance: float = 1.0) -> list[ImageState]:
    """Return images at a temperature at which guesses are often right."""
    sampling = Sampling(guidance=guidance, temperature=Temperatures.alike(0.05))
    return [replace(row, controls=(1, 1, 1), sampling=sampling) for row in states(count, LONG)]


def test_few_rows_have_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are programs at a time, and not as the cached sampler. Either way they have the same slices."""
    monkeypatch.setitem(SHAPES, "two", 2)
    _, kernel = pipelines(LONG, capacity=3, shape="two", blocks=1, reach=1)
    backend = partial(KERNEL, bfloat16=False, programs=2)
    cached = Pipeline(kernel.networks, kernel.card, capacity=3, sampler=SamplerName.CACHED, backend=backend)
    engine, every, rows = kernel.engines[Stage.SIZE], LONG.slice_size**2, cold(3)
    together = next_slices(kernel, rows, [3])
    assert engine.passes == every
    assert next_slices(kernel, rows[:2], [3]) == together[:2]
    assert engine.passes < 2 * every
    assert next_slices(cached, rows[:2], [3]) == together[:2]
    assert cached.engines[Stage.SIZE].passes == every


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_does_not_depend_on_its_batch(shape: str) -> None:
    """Alone, beside others, in another program and beside guided rows: bit for bit."""
    _, kernel = pipelines(GEOMETRY, capacity=9, shape=shape, blocks=1, reach=1)
    rows = [replace(row, sampling=replace(row.sampling, candidates=1)) for row in states(9, GEOMETRY)]
    together = next_slices(kernel, rows, [0])
    assert next_slices(kernel, rows[8:], [0]) == together[8:]
    unguided = [row for row in rows if row.sampling.guidance == 1]
    assert next_slices(kernel, unguided, [0]) == [together[rows.index(row)] for row in unguided]


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SHAPES)
def test_bfloat16_gives_nearly_the_same(shape: str) -> None:
    """The first pixels, before one that differs changes the others."""
    plain, _ = pipelines(GEOMETRY, capacity=16, blocks=1, reach=1)
    kernel = Pipeline(plain.networks, plain.card, capacity=16, backend=partial(KERNEL, programs=SHAPES[shape]))
    rows = after(
        [ImageState(seed=s, controls=(0, 0, 0), progress=states(1, GEOMETRY)[0].progress) for s in range(16)], 7
    )
    firsts = [[state.progress.slices[-1][0, 0].tolist() for state in each.advance(rows)] for each in (plain, kernel)]
    assert sum(one == other for one, other in zip(*firsts, strict=True)) >= 12


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, in the interpreter
@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_of_nans_is_found_and_does_not_spoil_the_next(shape: str) -> None:
    """All its caches have held NaN."""
    plain, kernel = pipelines(GEOMETRY, shape=shape, blocks=1, reach=1)
    networks = plain.networks
    networks.get_submodule("depth.embedder.controls.0").weight[1] = torch.nan  # type: ignore[operator]
    good = [replace(row, controls=(0, *row.controls[1:])) for row in states(2, GEOMETRY)]
    with pytest.raises(NotFiniteError):
        kernel.advance(after([replace(row, controls=(1, *row.controls[1:])) for row in states(2, GEOMETRY)], 7))
    assert next_slices(kernel, good, [7]) == next_slices(plain, good, [7])


@pytest.mark.gpu
def test_attention_by_blocks_is_attention() -> None:
    """Each token up to its own position, over less than a block of keys, exactly one, and several. Later keys count nothing."""
    q, keys, contents = (torch.randn(16, 10, 16, device=DEVICE) for _ in range(3))
    positions = torch.arange(16, dtype=torch.int32, device=DEVICE) % 10
    past = (torch.arange(10, device=DEVICE) <= positions[:, None])[:, None]
    expected = torch.nn.functional.scaled_dot_product_attention(q[:, :1], keys, contents, attn_mask=past)[:, 0]
    keys[~past[:, 0]] = contents[~past[:, 0]] = torch.nan
    found = torch.empty(16, 16, device=DEVICE)
    probes.attend[(1,)](q[:, 0].contiguous(), keys, contents, found, positions, N=10, M=16, DEPTH=16, KEYS=4)
    torch.testing.assert_close(found, expected)


@pytest.mark.gpu
def test_both_lanes_of_a_row_have_its_guided_logits() -> None:
    """Those of `models.sampling.guidance`; without guidance the conditional ones, bit for bit."""
    logits, strength = torch.randn(8, 2, 16, device=DEVICE), torch.tensor([1.0, 2.0, 0.5, 5.0] * 2, device=DEVICE)
    found = torch.empty_like(logits)
    probes.guide[(1,)](logits, strength.repeat_interleave(2), found, M=16, V=16)
    expected = guided((logits[:, 0], logits[:, 1]), strength)
    torch.testing.assert_close(found, expected[:, None].expand_as(found))
    assert torch.equal(found[::4, 0], logits[::4, 0])


@pytest.mark.gpu
def test_forecasts_of_the_slice_are_those_of_the_decoder() -> None:
    """All that `models.decoder` counts, whatever is absent."""
    plain, _ = pipelines(GEOMETRY)
    values = torch.randint(
        -1, 256, (len(NEIGHBOURS), 256, 3), device=DEVICE, generator=torch.Generator(DEVICE).manual_seed(0)
    )
    image = torch.full((256, IMAGE_FORECASTS, 3), -1, device=DEVICE)
    offset = torch.zeros(256, 3, dtype=torch.long, device=DEVICE)
    decoder = plain.network(Stage.DEPTH).decoder
    expected = decoder.forecasts(values.transpose(0, 1), image, offset)[:, :SLICE_FORECASTS, 0]
    found = torch.empty(SLICE_FORECASTS, 256, dtype=torch.long, device=DEVICE)
    for which in range(SLICE_FORECASTS):
        neighbours = [each[:, 0].contiguous() for each in values]
        probes.forecast[(1,)](*neighbours, found[which], WHICH=which, M=256)
    found = torch.where(found < 0, -1, found.clamp(max=decoder.symbols - 1))
    assert torch.equal(found.T, expected)


def test_a_network_that_the_kernel_cannot_run_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads of another size, weights of float64, forecasts that it does not have."""
    plain, _ = pipelines(GEOMETRY)
    network = plain.network(Stage.BASE)
    assert fits(network)
    monkeypatch.setattr("models.sampling.backends.persistent.SLICE_FORECASTS", SLICE_FORECASTS + 1)
    assert not fits(network)
    monkeypatch.undo()
    widths = {stage: replace(each, heads=4) for stage, each in plain.card.config.widths.items()}
    narrow = build(replace(plain.card.config, widths=widths))[Stage.BASE]
    assert isinstance(narrow, Network)
    assert not fits(narrow)
    assert not fits(network.double())
    with pytest.raises(ConfigError, match="use GraphBackend"):
        PersistentBackend(Workspace.of(narrow, rows=1))


def test_weights_are_padded_with_zeros_only() -> None:
    """As many that are not zero as the decoder has, but for those of the embedder's output."""
    plain, _ = pipelines(Geometry(size=4, slice_size=2), width=48, heads=3, conv_width=24)
    workspace: Workspace = plain.engines[Stage.DEPTH].workspace
    decoder = workspace.network.decoder
    packed = Weights.of(decoder, torch.float32)
    others = ("row.", "column.", "condition.")
    expected = sum(p.count_nonzero() for name, p in decoder.named_parameters() if not name.startswith(others))
    assert sum(each.count_nonzero() for each in packed) == expected
