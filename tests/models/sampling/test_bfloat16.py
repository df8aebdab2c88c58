"""Products of bfloat16 on a GPU: what is rounded, what is not, and that the numerics id says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from models.config import Stage
from models.network import Network
from models.sampling.backends import fastest, graph
from models.sampling.backends.bfloat16 import Bfloat16Linear, product, with_bfloat16_products
from models.sampling.backends.eager import EagerBackend
from models.sampling.backends.fastest import Fastest
from models.sampling.backends.graph import GraphBackend
from models.sampling.workspace import Workspace
from tests.harness.image_states import GEOMETRY
from tests.harness.toy import toy_networks

DEPTH = Stage.DEPTH


def depth_network() -> Network:
    """Return a toy's depth network."""
    network = toy_networks(GEOMETRY)[DEPTH]
    assert isinstance(network, Network)
    return network


def test_factors_are_rounded_and_sums_are_not() -> None:
    """The result has the digits of float32: on rounded factors it is what float64 gives."""
    linear, x = nn.Linear(64, 8), torch.randn(5, 64)
    found = Bfloat16Linear.of(linear)(x)
    exact = x.bfloat16().double() @ linear.weight.bfloat16().double().T + linear.bias.double()
    assert found.dtype is torch.float32
    torch.testing.assert_close(found, exact.float(), rtol=1e-5, atol=1e-5)
    assert (found - linear(x)).abs().max() > 1e-4


def test_on_cuda_a_product_keeps_its_float32_sums() -> None:
    """A product of bfloat16 would otherwise round its result too; on tensors without a device."""
    with FakeTensorMode():
        left = torch.empty(4, 16, device="cuda", dtype=torch.bfloat16)
        found = product(left, torch.empty(16, 8, device="cuda", dtype=torch.bfloat16))
    assert (found.device.type, found.dtype, found.shape) == ("cuda", torch.float32, (4, 8))


def test_all_layers_are_rounded_but_that_of_sub_pixels() -> None:
    """In float32, where 255 values of a byte stay apart; the network itself is unchanged, and no weight is kept twice."""
    decoder = depth_network().decoder
    twin = with_bfloat16_products(decoder)
    layers = {name: type(layer) for name, layer in twin.named_modules() if isinstance(layer, nn.Linear)}
    assert [name for name, kind in layers.items() if kind is nn.Linear] == ["pixel.number"]
    assert not any(isinstance(layer, Bfloat16Linear) for layer in decoder.modules())
    assert {id(each) for each in twin.parameters()} == {id(each) for each in decoder.parameters()}


def sampled_logits(*, bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Return the first features that a graph's pass gives; capture and compiler are left out."""
    monkeypatch.setattr(torch, "compile", lambda step, **_: step)
    monkeypatch.setattr(graph, "recorded", lambda *_: (lambda: None, torch.tensor(0)))
    monkeypatch.setattr(torch.cuda, "device", torch.device)
    backend = GraphBackend(Workspace.of(depth_network(), rows=2), bfloat16=bfloat16)
    assert f"/{'bfloat16' if bfloat16 else 'float32'}/" in backend.numerics
    x = torch.randn(7, 12 * 16, generator=torch.Generator().manual_seed(0))
    found: Tensor = backend.step.decoder.first(x)
    return found


def test_a_graph_computes_with_what_its_numerics_id_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to the digits of bfloat16, and not to those of float32."""
    rounded, whole = (sampled_logits(bfloat16=each, monkeypatch=monkeypatch) for each in (True, False))
    torch.testing.assert_close(rounded, whole, rtol=0.05, atol=0.05)
    assert not torch.allclose(rounded, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("capability", "wanted", "expected"), [((9, 0), True, True), ((7, 5), True, False), ((8, 0), False, False)]
)
def test_a_gpu_that_has_bfloat16_uses_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capability: tuple[int, int], *, wanted: bool, expected: bool
) -> None:
    """Unless it is not wanted; older ones only emulate it."""
    chosen: list[dict[str, bool]] = []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)

    def graph_backend(workspace: Workspace, **options: bool) -> EagerBackend:
        chosen.append(options)
        return EagerBackend(workspace)

    monkeypatch.setattr(fastest, "GraphBackend", graph_backend)
    workspace = Workspace.of(depth_network(), rows=1)
    with FakeTensorMode():
        workspace.network.decoder.first.weight = nn.Parameter(torch.empty(32, 192, device="cuda"))
    Fastest(tmp_path, bfloat16=wanted)(workspace)
    assert chosen == [{"bfloat16": expected}]
