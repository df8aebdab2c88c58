"""The tests with the mark `gpu`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

from benchmarks.gpu.section import options, report


def main() -> int:
    """Run them and report how many there were; exit status as that of pytest."""
    options()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", f"--junitxml={results}"]
        done = subprocess.run(command, stdout=sys.stderr, check=False)
        suite = ET.parse(results).getroot()[0].attrib  # noqa: S314 - our own file
    report(**{name: int(suite[name]) for name in ("tests", "failures", "errors", "skipped")})
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
