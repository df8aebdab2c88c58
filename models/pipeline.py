"""The three stages over image states: advance any set of pictures that stand at the same network by one slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from torch import nn
from torch.utils import _pytree as pytree

from models.cards import ModelCard
from models.checkpoint import load_model
from models.config import MODEL_SAMPLING, Sampling, Stage, Step
from models.errors import ConfigError, NotFiniteError
from models.network import Network
from models.sampling.board import Board
from models.sampling.engine import Engine, Given, Sampler
from models.sampling.noise import NOISE_VERSION
from models.sampling.threads import Threads
from models.subscale import Progress


@dataclass(frozen=True, kw_only=True)
class ImageState:
    """All that determines a picture, and how far it is.

    `score`: the probability that the verifier gives to the label of the base slice; None without label or verifier.
    """

    seed: int
    controls: tuple[int, ...]
    sampling: Sampling = MODEL_SAMPLING
    progress: Progress
    score: float | None = None


class Pipeline:
    """Loaded networks and how to sample from them, up to `capacity` pictures together, on a CPU `threads` at a time.

    A picture's pixels depend on its state, the weights and `numerics` alone, never on the other rows of a call.
    """

    def __init__(
        self,
        networks: nn.ModuleDict,
        card: ModelCard,
        *,
        capacity: int = 16,
        sampler: Sampler = Sampler.PARALLEL,
        threads: int = 1,
    ) -> None:
        self.networks, self.card, self.capacity = networks, card, capacity
        parameter = next(networks.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.threads = Threads(threads if self.device.type == "cpu" else 1)
        self.engines = {
            stage: Engine(self.network(stage), sampler, rows=capacity, threads=self.threads)
            for stage in card.config.geometry.stages
        }

    @classmethod
    def load(
        cls, folder: Path, *, device: str = "cpu", capacity: int = 16, threads: int = 1, artefacts: Path | None = None
    ) -> Pipeline:
        """The model in `folder`, compiled if `artefacts` are given. Raises CheckpointError if it is not what its card says."""
        networks, card = load_model(folder)
        pipeline = cls(networks.to(device), card, capacity=capacity, threads=threads)
        return pipeline.compile(artefacts) if artefacts else pipeline

    def compile(self, artefacts: Path, *, bfloat16: bool = True) -> Self:
        """Draw by compiled engines from now on, where that can be; code for a CPU is kept in the folder `artefacts`.

        There the products are of bfloat16 where the processor has it, unless told not to.
        """
        for engine in self.engines.values():
            engine.compile(artefacts, bfloat16=bfloat16)
        return self

    @property
    def numerics(self) -> str:
        """Names all that may change the last bits: equal id, weights and state give equal pixels."""
        on_cpu = self.device.type == "cpu"
        return "/".join(
            (
                self.device.type,
                torch.backends.cpu.get_cpu_capability() if on_cpu else torch.cuda.get_device_name(self.device),
                str(self.dtype).removeprefix("torch."),
                f"torch-{torch.__version__}",
                f"threads-{torch.get_num_threads()}",
                *dict.fromkeys(engine.numerics for engine in self.engines.values()),
                f"noise-{NOISE_VERSION}",
            )
        )

    @torch.inference_mode()
    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """One slice further each.

        Raises ConfigError for more than `capacity` rows, or rows at different networks; NotFiniteError if the logits of
        one of them were no numbers: then none has advanced.
        """
        steps = [state.progress.next for state in states]
        stages = {step.stage if step else None for step in steps}
        stage = stages.pop() if len(stages) == 1 else None
        if stage is None or len(states) > self.capacity:
            msg = f"expected 1 to {self.capacity} unfinished pictures at one stage, got {len(states)} at {set(steps)}"
            raise ConfigError(msg)
        engine = self.engines[stage]
        symbols = engine.draw(self.threads.map(self.given, states)).cpu()
        if bool((symbols >= engine.step.decoder.symbols).any()):
            clear(engine.board)
            msg = f"logits of {stage} that are not numbers"
            raise NotFiniteError(msg)
        shape = self.card.config.geometry.slice_shape
        return [
            replace(state, progress=state.progress.with_slice(drawn.reshape(shape)))
            for state, drawn in zip(states, symbols.to(torch.uint8).numpy(), strict=True)
        ]

    @torch.inference_mode()
    def given(self, state: ImageState) -> Given:
        """What determines the next slice of `state`, picture by picture: a convolution may round otherwise in a batch."""
        step = next_step(state)
        engine = self.engines[step.stage]
        coarse, fine, *_ = (torch.from_numpy(part)[None].to(self.device) for part in state.progress.known())
        k, controls = torch.tensor([step.slice]), torch.tensor([state.controls], dtype=torch.long)
        return Given(
            conditioning=engine.condition(coarse, fine, k.to(self.device), controls.to(self.device)),
            noise=engine.noise(state.seed, step).to(self.device, self.dtype),
            temperature=state.sampling.temperature.of(step.stage),
        )

    def network(self, stage: Stage) -> Network:
        """The network of a stage."""
        network: Network = self.networks[stage]  # type: ignore[assignment]
        return network


def clear(board: Board) -> None:
    """Forget every number on `board`: NaN in a cache spoils the next picture there, as even 0 times NaN is NaN."""
    for leaf in pytree.tree_leaves(board):
        if leaf.is_floating_point():
            leaf.zero_()


def next_step(state: ImageState) -> Step:
    """The slice to draw now. Raises ConfigError for a finished picture."""
    if (step := state.progress.next) is None:
        msg = "the picture is complete"
        raise ConfigError(msg)
    return step
