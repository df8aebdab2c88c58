"""Sampling of images with the three networks: a call advances images at the same network by one slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from models.cards import ModelCard
from models.checkpoint import load_model
from models.config import ANY, LABEL, MODEL_SAMPLING, Sampling, Stage, Step
from models.errors import ConfigError, NotFiniteError
from models.network import Network
from models.sampling.backends.backend import BackendFactory
from models.sampling.backends.eager import EagerBackend
from models.sampling.backends.fastest import Fastest
from models.sampling.deal import SamplerName
from models.sampling.engine import Engine
from models.sampling.noise import NOISE_VERSION
from models.sampling.slice_request import SliceRequest
from models.sampling.threads import Threads
from models.sampling.workspace import Workspace
from models.subscale import Bytes, Progress
from models.verifier import load_verifier

_SHORT: Final = 12
"""Digits of a sha256 in the numerics id."""


@dataclass(frozen=True, kw_only=True)
class ImageState:
    """Everything that determines an image, and its finished slices.

    `score`: the probability that the verifier gives to label and style of the base slice; None without label or verifier.
    """

    seed: int
    controls: tuple[int, ...]
    sampling: Sampling = MODEL_SAMPLING
    progress: Progress
    score: float | None = None


class SliceVerifier(Protocol):
    """The part of models.verifier.Verifier that a pipeline uses."""

    def scores(self, slices: Tensor, controls: Sequence[int]) -> Tensor:
        """Return the probability, (B,), that base slices (B, h, w, C) uint8 show what the `controls` request."""


class Pipeline:
    """Loaded networks and their engines. A call samples up to `capacity` images together, on a CPU with `threads` threads.

    The pixels of an image depend on its state, the weights and `numerics` only, never on the other rows of a call.
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
        """The numerics id: equal id, weights and state give equal pixels."""
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
        """Return the states with one slice more; a base slice is the best of its candidates.

        Raises ConfigError for more than `capacity` rows, or rows at different networks. Raises NotFiniteError if a logit of
        any row is NaN; then no row has advanced.
        """
        steps = [state.progress.next for state in states]
        stages = {step.stage if step else None for step in steps}
        stage = stages.pop() if len(stages) == 1 else None
        if stage is None or len(states) > self.capacity:
            msg = f"expected 1 to {self.capacity} unfinished images at one stage, got {len(states)} at {set(steps)}"
            raise ConfigError(msg)
        candidates = [self.candidates(state) for state in states]
        sampled = self.sample(stage, [request for each in candidates for request in each])
        counts = [len(each) for each in candidates]
        parts = (sampled[end - count : end] for count, end in zip(counts, accumulate(counts), strict=True))
        return [self._best(state, slices) for state, slices in zip(states, parts, strict=True)]

    def candidates(self, state: ImageState) -> list[SliceRequest]:
        """Return a request for each candidate of the next slice: those of a base slice if a verifier can choose, else one."""
        step, guidance = next_step(state), state.sampling.guidance
        free = tuple(ANY if i in self._unguided else index for i, index in enumerate(state.controls))
        guided = step.stage in self.card.guided and guidance != 1 and free != state.controls
        first = SliceRequest(
            progress=state.progress,
            step=step,
            seed=state.seed,
            controls=state.controls,
            temperature=state.sampling.temperature.of(step.stage),
            guidance=guidance if guided else 1.0,
            unconditional=free if guided else None,
        )
        count = state.sampling.candidates if self._is_scored(state) else 1
        return [first._replace(candidate=candidate) for candidate in range(count)]

    def sample(self, stage: Stage, requests: Sequence[SliceRequest]) -> Bytes:
        """Return the symbols of each slice, (n, h, w, C), sampled `capacity` at a time. Raises NotFiniteError."""
        engine, sampled = self.engines[stage], list[Bytes]()
        for start in range(0, len(requests), self.capacity):
            symbols = engine.sample(requests[start : start + self.capacity])
            if symbols.max() >= self.network(stage).decoder.head.symbols:
                engine.workspace.board.clear()
                msg = f"{stage}: a logit is NaN; no slice of this call is valid"
                raise NotFiniteError(msg)
            sampled.append(symbols)
        return sampled[0] if len(sampled) == 1 else np.concatenate(sampled)

    def _best(self, state: ImageState, slices: Bytes) -> ImageState:
        """Return `state` with the likeliest of its candidates, (n, h, w, C), by the verifier; of equal ones the first."""
        best, score = 0, state.score
        if self.verifier and self._is_scored(state):
            found = self.verifier.scores(torch.from_numpy(slices), state.controls)
            if not bool(found.isfinite().all()):
                msg = "the verifier gave a probability that is NaN"
                raise NotFiniteError(msg)
            best = int(np.argmax(found.numpy()))
            score = float(found[best])
        return replace(state, progress=state.progress.with_slice(slices[best]), score=score)

    def _is_scored(self, state: ImageState) -> bool:
        """Return whether the next slice of `state` is scored: a base slice with a label, if there is a verifier."""
        if self.verifier is None or self._label is None or next_step(state).stage is not Stage.BASE:
            return False
        return state.controls[self._label] != ANY

    def network(self, stage: Stage) -> Network:
        """Return the network of a stage."""
        network: Network = self.networks[stage]  # type: ignore[assignment]
        return network


def next_step(state: ImageState) -> Step:
    """Return the next slice to sample. Raises ConfigError for a finished image."""
    if (step := state.progress.next) is None:
        msg = "the image is complete; it has no next slice"
        raise ConfigError(msg)
    return step
