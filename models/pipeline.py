"""The three stages over image states: advance any set of pictures that stand at the same network by one slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.cards import ModelCard
from models.checkpoint import load_model
from models.config import Step
from models.decoder import Conditioning
from models.errors import ConfigError
from models.network import Network
from models.sampling import cached, parallel
from models.sampling.noise import NOISE_VERSION, gumbel
from models.sampling.passes import GROUP, SliceDraw
from models.subscale import Progress

SAMPLERS: dict[str, Callable[[SliceDraw, int], Tensor]] = {"parallel": parallel.sample, "cached": cached.sample}


@dataclass(frozen=True, kw_only=True)
class ImageState:
    """All that determines a picture, and how far it is."""

    seed: int
    controls: tuple[int, ...]
    temperature: float
    progress: Progress


class Pipeline:
    """Loaded networks and how to sample from them.

    A picture's pixels depend on its state, the weights and `numerics` alone, never on the other rows of a call.
    """

    def __init__(
        self, networks: nn.ModuleDict, card: ModelCard, *, capacity: int = 8, sampler: str = "parallel"
    ) -> None:
        self.networks, self.card, self.capacity, self.sampler = networks, card, capacity, sampler
        self.tokens_per_pass = capacity * GROUP
        parameter = next(networks.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu", capacity: int = 8, sampler: str = "parallel") -> Pipeline:
        """The model in `folder`. Raises CheckpointError if it is not what its card says."""
        networks, card = load_model(folder)
        return cls(networks.to(device), card, capacity=capacity, sampler=sampler)

    @property
    def numerics(self) -> str:
        """Names all that may change the last bits: equal id, weights and state give equal pixels."""
        capability = (
            torch.backends.cpu.get_cpu_capability() if self.device.type == "cpu" else torch.cuda.get_device_name()
        )
        parts = (
            self.device.type,
            capability,
            str(self.dtype).removeprefix("torch."),
            f"torch-{torch.__version__}",
            "eager",
        )
        counts = (
            f"threads-{torch.get_num_threads()}",
            f"M-{self.tokens_per_pass}",
            self.sampler,
            f"noise-{NOISE_VERSION}",
        )
        return "/".join((*parts, *counts))

    @torch.inference_mode()
    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """One slice further each. Raises ConfigError for more than `capacity` rows, or rows at different networks."""
        steps = [state.progress.next for state in states]
        stages = {step.stage if step else None for step in steps}
        if len(stages) != 1 or None in stages or len(states) > self.capacity:
            msg = f"expected 1 to {self.capacity} unfinished pictures at one stage, got {len(states)} at {stages}"
            raise ConfigError(msg)
        draw = self.prepare(states)
        symbols = SAMPLERS[self.sampler](draw, self.tokens_per_pass).to("cpu", torch.uint8).numpy()
        side = self.card.config.geometry.slice_size
        return [
            replace(state, progress=state.progress.with_slice(drawn.reshape(side, side, -1)))
            for state, drawn in zip(states, symbols, strict=True)
        ]

    def prepare(self, states: Sequence[ImageState]) -> SliceDraw:
        """Conditioning, noise and empty caches of the next slice of each state, which stand at one network."""
        rows = [self._condition(state) for state in states]
        conditioning = Conditioning(*(torch.cat(parts) for parts in zip(*rows, strict=True)))
        noise = torch.stack([self._noise(state) for state in states])
        temperature = torch.tensor([state.temperature for state in states], dtype=self.dtype, device=self.device)
        return SliceDraw(self._network(states[0]).decoder, conditioning, noise, temperature)

    def _network(self, state: ImageState) -> Network:
        network: Network = self.networks[next_step(state).stage]  # type: ignore[assignment]
        return network

    def _condition(self, state: ImageState) -> Conditioning:
        """Row by row: a convolution may choose another algorithm, with other rounding, for another batch size."""
        coarse, fine, *_ = state.progress.known()
        pictures = [torch.from_numpy(part.astype(np.int64))[None].to(self.device) for part in (coarse, fine)]
        k, controls = torch.tensor([next_step(state).slice]), torch.tensor([state.controls], dtype=torch.long)
        return self._network(state).condition(pictures[0], pictures[1], k.to(self.device), controls.to(self.device))

    def _noise(self, state: ImageState) -> Tensor:
        geometry, step = self.card.config.geometry, next_step(state)
        symbols = 1 << geometry.target_bits(step.stage)
        noise = gumbel(state.seed, step, positions=geometry.positions, channels=geometry.channels, symbols=symbols)
        return noise.to(self.device, self.dtype)


def next_step(state: ImageState) -> Step:
    """The slice to draw now. Raises ConfigError for a finished picture."""
    if (step := state.progress.next) is None:
        msg = "the picture is complete"
        raise ConfigError(msg)
    return step
