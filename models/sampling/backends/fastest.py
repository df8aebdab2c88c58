"""The fastest backend that a network and its device allow."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from models.errors import NoCompilerError
from models.sampling.backends.backend import Backend
from models.sampling.backends.cpp import NativeBackend
from models.sampling.backends.eager import EagerBackend
from models.sampling.backends.graph import GraphBackend
from models.sampling.native import binding
from models.sampling.workspace import Workspace

AMPERE: Final = (8, 0)
"""The first compute capability with products of bfloat16."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fastest:
    """A `BackendFactory`: a captured graph on CUDA, C++ on a CPU, else torch.

    `folder` keeps compiled C++ code. `bfloat16`: products of bfloat16 where the device has them.
    """

    folder: Path
    bfloat16: bool = True

    def __call__(self, workspace: Workspace) -> Backend:
        """Return the backend. On a CPU, a network that C++ cannot run, or a missing compiler, gives `EagerBackend`."""
        weight = workspace.network.decoder.first.weight
        if weight.device.type == "cuda":
            bfloat16 = self.bfloat16 and weight.dtype is torch.float32
            return GraphBackend(
                workspace, bfloat16=bfloat16 and torch.cuda.get_device_capability(weight.device) >= AMPERE
            )
        if binding.fits(workspace.network):
            try:
                return NativeBackend(workspace, binding.library(self.folder, bfloat16=self.bfloat16))
            except NoCompilerError as error:
                stage = workspace.network.stage
                logger.warning("%s networks run in torch, many times slower: %s", stage, error)
        return EagerBackend(workspace)
