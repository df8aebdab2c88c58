"""What differs between machines: how a network is computed. An engine gets one object and never changes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from models.sampling.slice_request import SliceRequest
from models.sampling.workspace import Workspace


class Backend(Protocol):
    """The arithmetic of one network on the board of one workspace.

    Implementations: `EagerBackend` (torch, anywhere), `GraphBackend` and `PersistentBackend` (CUDA), `NativeBackend`
    (C++, CPU), and the `InductorBackend` of benchmarks/. All give the same images up to rounding.
    """

    @property
    def numerics(self) -> str:
        """Name of all in this backend that may change the last bits of a logit; a part of `Pipeline.numerics`."""

    def fill(self, rows: Sequence[int], requests: Sequence[SliceRequest]) -> None:
        """Start a slice in each of `rows` of the board: conditioning and noise. All other rows are final."""

    def finish(self, lanes: int) -> int:
        """Run passes until every row of the board is final; return how many.

        `lanes`: 2 if a row of the board has guidance, else 1.
        """


BackendFactory = Callable[[Workspace], Backend]
"""Makes the backend of one network."""
