"""The baseline of compiled passes: Inductor's, ahead of time, as the CPU ran them before it had code of its own."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils import _pytree as pytree

from models.decoder import Conditioning
from models.sampling.backends.eager import EagerBackend
from models.sampling.board import Board
from models.sampling.workspace import Workspace

INDUCTOR = {"assert_indirect_indexing": False}
"""Every index comes from a `Raster`; checking each in the innermost loop costs 7 % of a pass."""

for kind in (Board, Conditioning):
    pytree._register_namedtuple(kind, serialized_type_name=f"spn.{kind.__name__}")  # noqa: SLF001 - torch.export asks for it


@dataclass(frozen=True)
class Inductor:
    """A `BackendFactory`: passes that Inductor compiles into shared libraries in `folder`, anew for each backend."""

    folder: Path

    def __call__(self, workspace: Workspace) -> InductorBackend:
        """Return the backend of one network."""
        return InductorBackend(workspace, self.folder)


class InductorBackend(EagerBackend):
    """The pass of torch for rows without guidance, compiled ahead of time. A `Backend` for CPUs."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        super().__init__(workspace)
        folder.mkdir(parents=True, exist_ok=True)
        artefact = folder / f"inductor-{workspace.network.stage}-{workspace.rows}.pt2"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of its own old parts
            exported = torch.export.export(self.step, (self.board,))
            torch._inductor.aoti_compile_and_package(  # noqa: SLF001 - its documented name
                exported, package_path=str(artefact), inductor_configs=INDUCTOR
            )
        self._run = torch._inductor.aoti_load_package(str(artefact))  # noqa: SLF001 - as above
        weights, constants = self.step.state_dict(), set(self._run.get_constant_fqns())
        own = {name: weights[name] for name in constants & weights.keys()}
        self._run.load_constants(own, check_full_update=False, user_managed=True)

    @property
    def numerics(self) -> str:
        """Loops are compiled for M."""
        return f"inductor/M-{self.workspace.rows}"

    def finish(self, lanes: int) -> int:  # noqa: ARG002 - the exported pass has one
        """Run passes until every row is final; see `Backend.finish`."""
        passes = 1
        while int(self._run(self.board)):
            passes += 1
        return passes
