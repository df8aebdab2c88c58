"""What differs between machines: how a network is computed. An engine gets one object and never changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from models.config import Step
from models.decoder import Conditioning
from models.sampling.workspace import Workspace


class Backend(Protocol):
    """The arithmetic of one network on the board of one workspace.

    Implementations: `EagerBackend` (torch, anywhere), `GraphBackend` and `PersistentBackend` (CUDA), `NativeBackend`
    (C++, CPU), and the `InductorBackend` of benchmarks/. All give the same images up to rounding.
    """

    @property
    def numerics(self) -> str:
        """Name of all in this backend that may change the last bits of a logit; a part of `Pipeline.numerics`."""

    def condition(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        """Return `Network.condition` of one image.

        `coarse`, `fine`: (1, H, W, C) uint8; `k`: (1,) int64; `controls`: (1, n_controls) int64. Threads may call it together.
        """

    def noise(self, seed: int, step: Step, candidate: int) -> Tensor:
        """Return the Gumbel noise of a slice, (N, C, V) float64: `models.sampling.noise.gumbel`, bit for bit."""

    def finish(self, lanes: int) -> int:
        """Run passes until every row of the board is final; return how many.

        `lanes`: 2 if a row of the board has guidance, else 1.
        """


BackendFactory = Callable[[Workspace], Backend]
"""Makes the backend of one network."""
