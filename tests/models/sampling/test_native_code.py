"""What the compiler makes of the C++ code, where pixels cannot show it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from models.sampling.native import compiler
from tests.models.sampling.compiled import needs_compiler

NM = shutil.which("nm")


@needs_compiler
@pytest.mark.skipif(NM is None, reason="needs nm of the binutils")
@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_sums_of_a_product_stay_in_registers(artefacts: Path, *, bfloat16: bool) -> None:
    """Nothing inside a tile is a function of its own: with such calls an image took twice as long."""
    library = compiler.built(artefacts, bfloat16=bfloat16)
    symbols = subprocess.run([str(NM), "--demangle", library], capture_output=True, text=True, check=True).stdout
    assert "decoder_run" in symbols
    assert [line for line in symbols.splitlines() if "unrolled" in line or "multiply_add" in line] == []
