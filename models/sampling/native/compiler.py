"""Compilation of the C++ code (`cpp/`) by the machine's compiler, once; the library is kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
from pathlib import Path
from uuid import uuid4

from models.decoder import IMAGE_FORECASTS, SLICE_FORECASTS
from models.embedder import ABSENT
from models.errors import NoCompilerError
from models.sampling.passes import PACE_STEP

logger = logging.getLogger(__name__)

SOURCES = Path(__file__).with_name("cpp")
CONSTANTS = {
    "SPN_ABSENT": ABSENT,
    "SPN_PACE_STEP": PACE_STEP,
    "SPN_SLICE_FORECASTS": SLICE_FORECASTS,
    "SPN_IMAGE_FORECASTS": IMAGE_FORECASTS,
}
"""Constants that Python and C++ share, as compile flags."""
DEFINED = tuple(f"-D{name}={value}" for name, value in CONSTANTS.items())
FLAGS = ("-std=c++20", "-O3", "-march=native", "-shared", "-fPIC", "-pthread", *DEFINED)


def built(folder: Path, *, bfloat16: bool) -> Path:
    """Return the library, built unless `folder` already has it. Without `bfloat16` it is float32 on any CPU.

    Raises NoCompilerError if it cannot be built here.
    """
    flags = FLAGS if bfloat16 else (*FLAGS, "-DFLOAT32")
    path = folder / f"native-{identity(flags)}.so"
    if not path.exists():
        logger.info("compiling the sampler: once per machine, a few seconds")
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{uuid4().hex}.so")
        compile_with(*flags, "-o", str(partial), str(SOURCES / "library.cpp"))
        partial.replace(path)
    return path


def identity(flags: tuple[str, ...]) -> str:
    """Return a hash of all that decides the machine code: source, flags, compiler and CPU."""
    code = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))
    resolved = compile_with(*flags, "-###", "-E", "-x", "c++", os.devnull)
    return hashlib.sha256(code + resolved).hexdigest()[:16]


def command() -> str:
    """Return the command of the compiler: CXX, else g++."""
    return os.environ.get("CXX", "g++")


def compile_with(*arguments: str) -> bytes:
    """Run the C++ compiler; return its messages. Raises NoCompilerError if there is none, or it fails."""
    try:
        return subprocess.run([command(), *arguments], capture_output=True, check=True).stderr
    except FileNotFoundError as error:
        msg = f"no C++ compiler {command()!r}; install g++, or set CXX to a C++20 compiler"
        raise NoCompilerError(msg) from error
    except subprocess.CalledProcessError as error:
        msg = f"{command()} failed: {error.stderr.decode(errors='replace').strip()[-500:]}"
        raise NoCompilerError(msg) from error
