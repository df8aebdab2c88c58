"""The fastest backend that a network and its device allow."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from models.errors import NoCompilerError
from models.sampling.backends.backend import Backend
from models.sampling.backends.cpp import NativeBackend
from models.sampling.backends.eager import EagerBackend
from models.sampling.backends.graph import GraphBackend
from models.sampling.native import binding
from models.sampling.workspace import Workspace

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fastest:
    """A `BackendFactory`: a captured graph on CUDA, C++ on a CPU, else torch.

    `folder` keeps compiled C++ code. `bfloat16`: products of bfloat16 in C++ where the CPU has them.
    """

    folder: Path
    bfloat16: bool = True

    def __call__(self, workspace: Workspace) -> Backend:
        """Return the backend. On a CPU, a network that C++ cannot run, or a missing compiler, gives `EagerBackend`."""
        if workspace.board.front.device.type == "cuda":
            return GraphBackend(workspace)
        if binding.fits(workspace.network):
            try:
                return NativeBackend(workspace, binding.library(self.folder, bfloat16=self.bfloat16))
            except NoCompilerError as error:
                stage = workspace.network.stage
                logger.warning("%s networks run in torch, many times slower: %s", stage, error)
        return EagerBackend(workspace)
