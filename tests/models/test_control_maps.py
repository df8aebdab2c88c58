"""Control maps: a value's own map, at every position, through the whole slice embedder."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.config import ANY, Geometry, ModelConfig, Stage
from models.embedder import Embedder
from models.errors import ConfigError
from models.network import Network
from tests.harness.toy import CONTROLS, toy_config, toy_networks

GEOMETRY = Geometry(size=8, slice_size=4)


def embedder(stage: Stage) -> Embedder:
    network = toy_networks(GEOMETRY)[stage]
    assert isinstance(network, Network)
    return network.embedder


def distinct(rows: Tensor) -> int:
    return len(np.unique(rows.flatten(1).numpy(), axis=0))


def test_a_map_says_something_else_at_each_position() -> None:
    k, controls = torch.zeros(1, dtype=torch.long), torch.tensor([[1, ANY, ANY]])
    mapped, plain = embedder(Stage.BASE).context(k, controls), embedder(Stage.SIZE).context(k, controls)
    assert distinct(mapped[0]) == GEOMETRY.positions
    assert distinct(plain[0]) == 1


@pytest.mark.parametrize("column", range(len(CONTROLS)))
def test_only_the_named_controls_have_maps(column: int) -> None:
    """What a control without a map changes is the same at every position."""
    k, controls = torch.zeros(1, dtype=torch.long), torch.full((1, len(CONTROLS)), ANY)
    other = controls.clone()
    other[0, column] = 1
    base = embedder(Stage.BASE)
    change = base.context(k, other) - base.context(k, controls)
    assert change.abs().max() > 0
    assert torch.allclose(change, change[:, :1], atol=1e-5) == (CONTROLS[column].name == "hue")


def test_each_value_and_any_have_their_own_map() -> None:
    base = embedder(Stage.BASE)
    values = torch.arange(len(CONTROLS[0].values) + 1)
    controls = torch.stack([values, torch.zeros_like(values), torch.zeros_like(values)], -1)
    maps = base.context(torch.zeros_like(values), controls)
    assert distinct(maps) == len(values)


def test_maps_of_an_unknown_control_are_refused() -> None:
    config = toy_config(GEOMETRY)
    widths = {**config.widths, Stage.BASE: replace(config.widths[Stage.BASE], maps=("labels",))}
    with pytest.raises(ConfigError, match="labels"):
        ModelConfig(geometry=GEOMETRY, controls=CONTROLS, widths=widths)
