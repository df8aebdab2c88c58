"""What the persistent kernel takes of a GPU, without one: `python -m benchmarks.kernel`.

The kernel is compiled for each architecture with the sizes of a model's networks. The table has registers and
stack bytes of a thread: what does not fit into registers is on the stack. It also has the shared memory of a program and the
matrix instructions in its code. Needs triton (`make kernel`).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from benchmarks.sampling import DOCS
from models.cards import WEIGHTS
from models.checkpoint import load_model
from models.network import Network
from models.sampling.backends.persistent import PIPELINE_STAGES, WARPS
from models.sampling.persistent.kernel import sample_slices
from models.sampling.persistent.tensors import TOKENS, Scratch, Slices, kernel_sizes
from models.sampling.persistent.weights import Weights
from models.sampling.workspace import Workspace
from training.scoring.scores import markdown

ARCHITECTURES: Final = {"sm_80": 80, "sm_90a": 90, "sm_120a": 120}
NAMES: Final = {
    torch.float32: "fp32",
    torch.bfloat16: "bf16",
    torch.int64: "i64",
    torch.int32: "i32",
}


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A kernel compiled for one architecture."""

    stage: str
    architecture: str
    products: str
    lanes: int
    window: int
    warps: int
    pipeline_stages: int
    registers: int
    stack_bytes: int
    shared_bytes: int
    matrix_instructions: int


def pointers(tensors: Any) -> Any:  # noqa: ANN401 - the same class, with types instead of tensors
    """Return the types of a named tuple of tensors, as Triton names them."""
    return type(tensors)(*(f"*{NAMES[tensor.dtype]}" for tensor in tensors))


def compiled(
    network: Network, architecture: str, dtype: torch.dtype, *, shape: dict[str, int], options: dict[str, int]
) -> Compiled:
    """Return what the kernel of a network takes. `shape`: LANES of a row, and the WINDOW of its positions in a pass."""
    workspace = Workspace.of(network, rows=1, guided=shape["LANES"] > 1)
    decoder, raster = network.decoder, workspace.raster
    memory: dict[str, Any] = {
        "slices": pointers(Slices.of(workspace.board)),
        "w": pointers(Weights.of(decoder, dtype)),
        "scratch": pointers(Scratch.of(decoder, raster, lanes=1, programs=1, dtype=dtype)),
    }
    constants = {**kernel_sizes(workspace), **shape}
    rest = {"own": "*i32", "taps": "*i32", "rows": "i32", "unit": "fp32"}
    types: dict[str, Any] = {**memory, **rest, **dict.fromkeys(constants, "constexpr")}
    signature = {name: types[name] for name in sample_slices.arg_names}
    aligned = [["tt.divisibility", 16]]
    attributes: dict[tuple[int, ...], Any] = {
        (i, j): aligned for i, pointed in enumerate(memory.values()) for j in range(len(pointed))
    }
    source = ASTSource(
        sample_slices,
        signature,
        constexprs=constants,
        attrs={**attributes, (3,): aligned, (4,): aligned},
    )
    target = GPUTarget("cuda", ARCHITECTURES[architecture], 32)
    kernel = triton.compile(source, target=target, options=options)
    ptx = kernel.asm["ptx"]
    registers, stack = resources(kernel.asm["cubin"])
    return Compiled(
        stage=network.stage,
        architecture=architecture,
        products=NAMES[dtype],
        lanes=shape["LANES"],
        window=shape["WINDOW"],
        warps=options["num_warps"],
        pipeline_stages=options["num_stages"],
        registers=registers,
        stack_bytes=stack,
        shared_bytes=kernel.metadata.shared,
        matrix_instructions=len(re.findall(r"mma\.(?:sync|async)|wgmma\.mma", ptx)),
    )


def resources(cubin: bytes) -> tuple[int, int]:
    """Return registers and bytes of stack of a thread, as cuobjdump reads them from machine code."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(tool), "--dump-resource-usage", file.name]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    registers, stack = (int(number) for number in re.findall(r"(?:REG|STACK):(\d+)", said)[:2])
    return registers, stack


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Registers, spills and shared memory of the persistent kernel.")
    parser.add_argument("--model", default="symbols-64")
    parser.add_argument("--architectures", nargs="+", choices=list(ARCHITECTURES), default=list(ARCHITECTURES))
    parser.add_argument("--stages", nargs="+", default=["base", "size", "depth"])
    parser.add_argument("--products", nargs="+", choices=["bf16", "fp32"], default=["bf16"])
    parser.add_argument("--warps", type=int, default=WARPS)
    parser.add_argument(
        "--pipeline-stages", type=int, default=PIPELINE_STAGES, help="loads of weights in flight, and one"
    )
    parser.add_argument("--json", type=Path, default=DOCS / "kernel.json")
    args = parser.parse_args()
    networks, card = load_model(WEIGHTS / args.model)
    dtypes = {name: dtype for dtype, name in NAMES.items()}
    options = {"num_warps": args.warps, "num_stages": args.pipeline_stages}
    rows: list[Compiled] = []
    for stage in args.stages:
        for architecture in args.architectures:
            for products in args.products:
                lanes = 2 if stage in card.guided else 1
                for window in (1, TOKENS // lanes):
                    shape = {"LANES": lanes, "WINDOW": window}
                    row = compiled(networks[stage], architecture, dtypes[products], shape=shape, options=options)  # type: ignore[arg-type]
                    print(row, flush=True)
                    rows.append(row)
    table = [list(map(str, asdict(row).values())) for row in rows]
    print(markdown(list(asdict(rows[0])), table))
    args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
