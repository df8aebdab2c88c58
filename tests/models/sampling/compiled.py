"""Whether C++ can be compiled here."""

from __future__ import annotations

import pytest

from models.errors import NoCompilerError
from models.sampling.native import compiler


def can_compile() -> bool:
    """Return whether there is a C++ compiler."""
    try:
        compiler.compile_with("--version")
    except NoCompilerError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not can_compile(), reason="needs a C++ compiler")
COMPILED = [False, pytest.param(True, marks=needs_compiler)]
"""In torch and in C++."""
