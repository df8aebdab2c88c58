"""What the compiler makes of the C++ code, where pixels cannot show it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from models.errors import NoCompilerError
from models.sampling.native import compiler
from tests.models.sampling.compiled import needs_compiler

NM = shutil.which("nm")
SHARING = Path(__file__).with_name("sharing.cpp")


@needs_compiler
@pytest.mark.skipif(NM is None, reason="needs nm of the binutils")
@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_sums_of_a_product_stay_in_registers(artefacts: Path, *, bfloat16: bool) -> None:
    """Nothing inside a tile is a function of its own: with such calls an image took twice as long."""
    library = compiler.built(artefacts, bfloat16=bfloat16)
    symbols = subprocess.run([str(NM), "--demangle", library], capture_output=True, text=True, check=True).stdout
    assert "decoder_run" in symbols
    assert [line for line in symbols.splitlines() if "unrolled" in line or "multiply_add" in line] == []


@needs_compiler
@pytest.mark.parametrize("option", ["-DFLOAT32", "-fsanitize=thread"])
def test_a_helper_changes_no_numbers(tmp_path: Path, option: str) -> None:
    """Callers together and in turn, each part once, without a data race; and the helper does some of the work."""
    flags = [flag for flag in compiler.FLAGS if flag != "-shared"]
    program, include = tmp_path / "sharing", f"-I{compiler.SOURCES}"
    if not can_link(option, tmp_path):
        pytest.skip(f"this compiler has no {option}")
    compiler.compile_with(*flags, option, include, "-o", str(program), str(SHARING))
    found = subprocess.run([program], capture_output=True, text=True, timeout=300, check=False)
    if "unexpected memory mapping" in found.stderr:
        pytest.skip("the thread sanitizer does not run with this kernel's address layout")
    assert (found.returncode, found.stderr) == (0, "")


def can_link(option: str, folder: Path) -> bool:
    """Return whether the compiler makes a program with an option."""
    source = folder / "empty.cpp"
    source.write_text("int main() {}")
    try:
        compiler.compile_with(option, "-o", str(folder / "empty"), str(source))
    except NoCompilerError:
        return False
    return True
