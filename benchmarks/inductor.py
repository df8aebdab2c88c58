"""The baseline of compiled passes: Inductor's, ahead of time, as the CPU ran them before it had code of its own."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch.utils import _pytree as pytree

from models.decoder import Conditioning
from models.pipeline import Pipeline
from models.sampling.board import Board
from models.sampling.engine import Engine

INDUCTOR = {"assert_indirect_indexing": False}
"""Every index comes from a `Raster`; checking each in the innermost loop costs 7 % of a pass."""

for kind in (Board, Conditioning):
    pytree._register_namedtuple(kind, serialized_type_name=f"spn.{kind.__name__}")  # noqa: SLF001 - torch.export asks for it


def compile_passes(pipeline: Pipeline, folder: Path) -> Pipeline:
    """Draw by passes that Inductor has compiled into shared libraries in `folder`, freshly at every call."""
    for stage, engine in pipeline.engines.items():
        ahead_of_time(engine, folder / f"inductor-{stage}-{engine.step.tokens}.pt2")
    return pipeline


def ahead_of_time(engine: Engine, artefact: Path) -> None:
    """Compile, load, give it the weights."""
    folder = artefact.parent
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own old parts
        exported = torch.export.export(engine.step, (engine.board,))
        torch._inductor.aoti_compile_and_package(  # noqa: SLF001 - its documented name
            exported, package_path=str(artefact), inductor_configs=INDUCTOR
        )
    run = torch._inductor.aoti_load_package(str(artefact))  # noqa: SLF001 - as above
    weights, wanted = engine.step.state_dict(), set(run.get_constant_fqns())
    own = {name: weights[name] for name in wanted & weights.keys()}
    run.load_constants(own, check_full_update=False, user_managed=True)

    def finish(_lanes: int) -> int:
        passes = 1
        while int(run(engine.board)):
            passes += 1
        return passes

    engine.finish = finish
