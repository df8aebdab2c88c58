"""The wheel: what is in it, what its extras need, and an image drawn from it far from this checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from service import __version__

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "service", "worker")

DRAW = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import models, service
from models.cards import WEIGHTS
from models.config import control_indices
from models.pipeline import ImageState, Pipeline
from models.subscale import Progress

pipeline = Pipeline.load(WEIGHTS / "symbols-64", capacity=1, artefacts=Path(sys.argv[2]))
config = pipeline.card.config
state = ImageState(
    seed=7,
    controls=control_indices(config.controls, {"label": "house", "hue": "blue"}),
    sampling=pipeline.card.sampling,
    progress=Progress(geometry=config.geometry),
)
while state.progress.next:
    [state] = pipeline.advance([state])
print(service.__version__, Path(models.__file__).parent.parent, len({*state.progress.image().reshape(-1, 3).tobytes()}))
"""

CLIENT = """
import sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    sys.modules[name] = None
import service.client.__main__
from service.client import Client

with Client("http://127.0.0.1:1") as client:
    print(client._transport._http.headers["User-Agent"])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what it needs, so that the checkout stays clean."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "training/data").mkdir(parents=True)
    shutil.copy(ROOT / "training/data/NOTICE", source / "training/data")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source))
    [built] = out.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's files and nothing else."""
    site = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--target", str(site), str(wheel))
    return site


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


def alone(code: str, *arguments: str, cwd: Path) -> str:
    """Run code that sees neither this checkout nor the caller's paths; return what it prints."""
    command = [sys.executable, "-I", "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_what_serving_needs_and_no_training_data(wheel: Path) -> None:
    """Every tracked file that code reads at run time; no drawings, sheets, tests or benchmarks."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    read = ("sampling/native/cpp/*", "weights/*/*.json", "weights/*/*.safetensors")
    needed = [path for pattern in read for path in (ROOT / "models").glob(pattern)]
    needed += [*(ROOT / "service/page").iterdir(), *(ROOT / "service").rglob("*.lua")]
    needed += [path for package in PACKAGES for path in (ROOT / package).rglob("*.py*") if path.suffix != ".pyc"]
    assert {str(path.relative_to(ROOT)) for path in needed} <= names
    assert {name.split("/")[0] for name in names} == {*PACKAGES, f"subscale-{__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".npz", ".png"))]
    assert [name for name in names if name.endswith("licenses/training/data/NOTICE")], "the weights' attribution"


def test_an_image_is_drawn_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    version, where, colours = alone(DRAW, str(installed), str(tmp_path / "passes"), cwd=tmp_path).split()
    assert (version, where) == (__version__, str(installed))
    assert int(colours) > 2


def closure(names: set[str]) -> set[str]:
    """Return packages with all that they need in turn, without extras."""
    needed: set[str] = set()
    while names:
        found = [Requirement(each) for name in names for each in requires(name) or []]
        needed |= names
        names = {each.name for each in found if each.marker is None or each.marker.evaluate({"extra": ""})} - needed
    return needed


def test_the_clients_extra_is_all_that_the_client_needs(wheel: Path, installed: Path, tmp_path: Path) -> None:
    """httpx, httpx-sse and tqdm beside pydantic; it runs where nothing else of this project's is importable."""
    found = [Requirement(each) for each in metadata(wheel).get_all("Requires-Dist", [])]
    needed = {each.name for each in found if each.marker is None or each.marker.evaluate({"extra": "client"})}
    assert needed == {"pydantic", "httpx", "httpx-sse", "tqdm"}
    others = {each.name for each in found} - closure(needed) - {"subscale"}
    hidden = [*(name.replace("-", "_") for name in others), "PIL", "starlette", "pythonjsonlogger"]
    assert {"torch", "fastapi", "numpy", "redis"} <= set(hidden)
    assert alone(CLIENT, str(installed), *hidden, cwd=tmp_path) == f"subscale/{__version__}"
