"""The three stages over image states: advance any set of pictures that stand at the same network by one slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from models.cards import ModelCard
from models.checkpoint import load_model
from models.config import ANY, LABEL, MODEL_SAMPLING, Sampling, Stage, Step
from models.decoder import Conditioning
from models.errors import ConfigError, NotFiniteError
from models.network import Network
from models.sampling.backends.backend import BackendFactory
from models.sampling.backends.eager import EagerBackend
from models.sampling.backends.fastest import Fastest
from models.sampling.board import Given
from models.sampling.deal import SamplerName
from models.sampling.engine import Engine
from models.sampling.noise import NOISE_VERSION
from models.sampling.threads import Threads
from models.sampling.workspace import Workspace
from models.subscale import Bytes, Progress
from models.verifier import load_verifier

_SHORT: Final = 12
"""Digits of a sha256 in the numerics id."""


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


class SliceVerifier(Protocol):
    """What the pipeline uses of models.verifier.Verifier."""

    def probabilities(self, slices: Tensor) -> Tensor:
        """Base slices (B, h, w, C) uint8 -> the probability of each value of the control `label`, (B, values)."""


class Pipeline:
    """Loaded networks and how to sample from them, up to `capacity` pictures together, on a CPU `threads` at a time.

    A picture's pixels depend on its state, the weights and `numerics` alone, never on the other rows of a call.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are named
        self,
        networks: nn.ModuleDict,
        card: ModelCard,
        *,
        capacity: int = 16,
        sampler: SamplerName = SamplerName.PARALLEL,
        threads: int = 1,
        verifier: SliceVerifier | None = None,
        backend: BackendFactory = EagerBackend,
    ) -> None:
        self.networks, self.card, self.capacity, self.verifier = networks, card, capacity, verifier
        parameter = next(networks.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.threads = Threads(threads if self.device.type == "cpu" else 1)
        self.engines = {
            stage: Engine(
                Workspace.of(
                    self.network(stage),
                    rows=capacity,
                    guided=stage in card.guided,
                    sampler=sampler,
                    threads=self.threads,
                ),
                backend,
            )
            for stage in card.config.geometry.stages
        }
        names = [control.name for control in card.config.controls]
        self._label = names.index(LABEL) if LABEL in names else None
        self._unguided = [names.index(name) for name in card.unguided_controls]

    @classmethod
    def load(
        cls, folder: Path, *, device: str = "cpu", capacity: int = 16, threads: int = 1, artefacts: Path | None = None
    ) -> Pipeline:
        """Return a pipeline for the model in `folder`. Raises CheckpointError if it does not match its card.

        With `artefacts`, a folder for compiled code, it has the fastest backends of this device; without, those of torch.
        """
        networks, card = load_model(folder)
        return cls(
            networks.to(device),
            card,
            capacity=capacity,
            threads=threads,
            verifier=load_verifier(folder, card),
            backend=Fastest(artefacts) if artefacts else EagerBackend,
        )

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
                *dict.fromkeys(engine.backend.numerics for engine in self.engines.values()),
                f"noise-{NOISE_VERSION}",
                *([f"verifier-{self.card.verifier[:_SHORT]}"] if self.verifier else []),
            )
        )

    @torch.inference_mode()
    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """One slice further each: of a base slice the best of its candidates.

        Raises ConfigError for more than `capacity` rows, or rows at different networks; NotFiniteError if the logits of
        one of them were no numbers: then none has advanced.
        """
        steps = [state.progress.next for state in states]
        stages = {step.stage if step else None for step in steps}
        stage = stages.pop() if len(stages) == 1 else None
        if stage is None or len(states) > self.capacity:
            msg = f"expected 1 to {self.capacity} unfinished pictures at one stage, got {len(states)} at {set(steps)}"
            raise ConfigError(msg)
        candidates = self.threads.map(self.candidates, states)
        drawn = self.draw(stage, [given for each in candidates for given in each])
        ends = np.cumsum([len(each) for each in candidates])
        return [self._kept(state, slices) for state, slices in zip(states, np.split(drawn, ends[:-1]), strict=True)]

    @torch.inference_mode()
    def given(self, state: ImageState) -> Given:
        """What determines the next slice of `state`, picture by picture: a convolution may round otherwise in a batch."""
        step = next_step(state)
        backend, guidance = self.engines[step.stage].backend, state.sampling.guidance
        coarse, fine, *_ = (torch.from_numpy(part)[None].to(self.device) for part in state.progress.known())
        k = torch.tensor([step.slice], device=self.device)

        def conditioning(controls: Sequence[int]) -> Conditioning:
            return backend.condition(coarse, fine, k, torch.tensor([controls], dtype=torch.long, device=self.device))

        free = [ANY if i in self._unguided else index for i, index in enumerate(state.controls)]
        guided = step.stage in self.card.guided and guidance != 1 and tuple(free) != state.controls
        return Given(
            conditioning=conditioning(state.controls),
            noise=backend.noise(state.seed, step, 0).to(self.device, self.dtype),
            temperature=state.sampling.temperature.of(step.stage),
            guidance=guidance if guided else 1.0,
            free=conditioning(free) if guided else None,
        )

    def candidates(self, state: ImageState) -> list[Given]:
        """The slices to choose from: as many of the base as `state` wants, if a verifier can tell them apart."""
        first, step = self.given(state), next_step(state)
        count = 1 if self._column(state) is None else state.sampling.candidates
        noises = (self.engines[step.stage].backend.noise(state.seed, step, candidate) for candidate in range(1, count))
        return [first, *(first._replace(noise=noise.to(self.device, self.dtype)) for noise in noises)]

    def draw(self, stage: Stage, slices: Sequence[Given]) -> Bytes:
        """The symbols of each, (n, h, w, C), as many together as the board has rows. Raises NotFiniteError."""
        engine, drawn = self.engines[stage], []
        for start in range(0, len(slices), self.capacity):
            symbols = engine.draw(slices[start : start + self.capacity]).cpu()
            if bool((symbols >= self.network(stage).decoder.head.symbols).any()):
                engine.workspace.board.clear()
                msg = f"logits of {stage} that are not numbers"
                raise NotFiniteError(msg)
            drawn.append(symbols.to(torch.uint8).numpy())
        return np.concatenate(drawn).reshape(-1, *self.card.config.geometry.slice_shape)

    def _kept(self, state: ImageState, slices: Bytes) -> ImageState:
        """`state` with that of its candidates, (n, h, w, C), which the verifier finds likeliest; of equal ones the first."""
        best, score, column = 0, state.score, self._column(state)
        if self.verifier and column is not None:
            found = self.verifier.probabilities(torch.from_numpy(slices))[:, column]
            if not bool(found.isfinite().all()):
                msg = "a verifier's probabilities that are not numbers"
                raise NotFiniteError(msg)
            best = int(np.argmax(found.numpy()))
            score = float(found[best])
        return replace(state, progress=state.progress.with_slice(slices[best]), score=score)

    def _column(self, state: ImageState) -> int | None:
        """Where the verifier's answer has the label of `state`; None where it is not asked: no base slice, or no label."""
        if not self.verifier or self._label is None or next_step(state).stage is not Stage.BASE:
            return None
        index = state.controls[self._label]
        return None if index == ANY else index - 1

    def network(self, stage: Stage) -> Network:
        """The network of a stage."""
        network: Network = self.networks[stage]  # type: ignore[assignment]
        return network


def next_step(state: ImageState) -> Step:
    """The slice to draw now. Raises ConfigError for a finished picture."""
    if (step := state.progress.next) is None:
        msg = "the picture is complete"
        raise ConfigError(msg)
    return step
