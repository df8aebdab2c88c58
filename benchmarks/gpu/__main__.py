"""All that a machine with a GPU can show, in one command: `make gpu`. Not yet run on a GPU.

Sections run one after the other, each in a process of its own with a deadline, so that a crash or a hang of one leaves the
others. A section prints findings as lines of JSON; those before a deadline count. All of it is one JSON file.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.gpu.section import MODEL
from benchmarks.sampling import DOCS

MINUTES: Final = 8.8
"""The budget of all sections together."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A module of this package and the most seconds that it may take; fewer if the budget ends before."""

    module: str
    seconds: float


SECTIONS: Final = (
    Section(module="ceilings", seconds=40),
    Section(module="marked_tests", seconds=120),
    Section(module="exactness", seconds=120),
    Section(module="sampling", seconds=170),
    Section(module="training", seconds=300),
)


def run(section: Section, options: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """Return the findings of a section after at most `seconds`, whether it finished, and the end of its output if not."""
    limit = min(section.seconds, seconds)
    command = [sys.executable, "-m", f"benchmarks.gpu.{section.module}"]
    command += [text for name, value in options.items() for text in (f"--{name}", value)]
    if limit <= 0:
        return {"seconds": 0.0, "status": None, "findings": [], "errors": "no time was left"}
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its compilers too
        output, errors = process.communicate()
        errors += f"\nended after {limit:.0f} s"
    status = process.returncode
    return {
        "seconds": round(time.monotonic() - started, 1),
        "status": status,
        "findings": [json.loads(line) for line in output.splitlines() if line.startswith("{") and line.endswith("}")],
        "errors": errors[-2000:] if status else "",
    }


def main() -> int:
    """Run the command line; exit status 1 if a section failed or was not finished."""
    parser = argparse.ArgumentParser(description="Tests, exactness, sampling and training of a machine with a GPU.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", type=Path, default=MODEL, help="folder of a model")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--json", type=Path, default=DOCS / "gpu.json")
    args = parser.parse_args()
    options = {"device": args.device, "model": str(args.model)}
    end, found = time.monotonic() + 60 * args.minutes, {}
    for section in SECTIONS:
        print(f"{section.module} ...", file=sys.stderr, flush=True)
        found[section.module] = run(section, options, end - time.monotonic())
        args.json.write_text(json.dumps({**options, "sections": found}, indent=1) + "\n")
    print(args.json.read_text())
    return int(any(section["status"] != 0 for section in found.values()))


if __name__ == "__main__":
    sys.exit(main())
