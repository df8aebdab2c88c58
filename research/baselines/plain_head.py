"""A control: the Subscale Pixel Network without the kernels of its head (docs/decisions/001)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from models.config import ModelConfig, Stage
from models.decoder import Head
from models.network import Network


class PlainHead(Head):
    """One softmax per channel, conditioned on the channels before it. Forecasts are not used."""

    def __init__(self, channels: int, symbols: int, width: int) -> None:
        super().__init__(channels, symbols, width)
        self.out = nn.ModuleList(nn.Linear(width, symbols) for _ in range(channels))

    def logits(self, hidden: Tensor, channel: int, forecasts: Tensor) -> Tensor:  # noqa: ARG002 - see the class
        """Return logits (..., V) of a channel from hidden (..., D)."""
        out: Tensor = self.out[channel](F.gelu(hidden))
        return out


def without_kernels(config: ModelConfig, stage: Stage) -> Network:
    """Return a network with random weights whose head is plain."""
    network = Network(config, stage)
    head = network.decoder.head
    network.decoder.head = PlainHead(head.channels, head.symbols, config.widths[stage].width)
    return network
