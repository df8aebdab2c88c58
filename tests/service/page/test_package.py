"""The JavaScript client as a package: `npm pack` in service/page."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from service import __version__
from service.app import PAGE

PACKAGE = json.loads((PAGE / "package.json").read_text())
SECONDS = 120
USE = """
import { Client, Problem, type Job, type SliceEvent } from "subscale-client";
const client = new Client({ base: "http://localhost:8000", key: () => null });
export const job: Promise<Job> = client.submit({ label: "A", controls: { hue: "blue" }, num_images: 2 });
// @ts-expect-error an unknown field
client.submit({ lable: "A" });
const scored: Promise<Job> = client.score({ image: "iVBORw0KGgo=", controls: { label: "A" } });
export const bits = async (): Promise<number | undefined> => (await scored).likelihood?.stages.depth;
// @ts-expect-error no image
client.score({ label: "A" });
export const url = (event: SliceEvent): string => event.url;
export const line = (problem: Problem): string => `${problem.status} ${problem.type} ${problem.errors[0]?.field}`;
export const erased = async (): Promise<void> => client.erase(await job);
"""


def run(name: str, *arguments: str, folder: Path) -> str:
    """Return what a program of Node prints. Skips without it."""
    if (program := shutil.which(name)) is None:
        pytest.skip(f"needs {name}")
    command = [program, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_has_the_version_of_the_distribution() -> None:
    """And all its files are there."""
    assert PACKAGE["version"] == __version__
    assert [name for name in PACKAGE["files"] if not (PAGE / name).is_file()] == []


def test_a_packed_client_can_be_imported(tmp_path: Path) -> None:
    """With its types and nothing of the page."""
    packed = json.loads(run("npm", "pack", "--json", "--pack-destination", str(tmp_path), folder=PAGE))[0]
    assert {each["path"] for each in packed["files"]} == {"client.js", "client.d.ts", "package.json"}
    unpacked = tmp_path / "node_modules" / PACKAGE["name"]
    unpacked.mkdir(parents=True)
    shutil.unpack_archive(tmp_path / packed["filename"], tmp_path)
    (tmp_path / "package").rename(unpacked)
    use = "console.log(typeof new Client({ base: 'http://x' }).erase)"
    script = f"import {{ Client }} from '{PACKAGE['name']}'; {use}"
    assert run("node", "--input-type=module", "-e", script, folder=tmp_path) == "function\n"


def test_the_types_are_those_of_the_client(tmp_path: Path) -> None:
    """`npm run types` makes the same file, and `tsc --strict` accepts its use."""
    *command, _ = PACKAGE["scripts"]["types"].split()[1:]
    run("tsc", *command, str(tmp_path), folder=PAGE)
    assert (tmp_path / "client.d.ts").read_text() == (PAGE / "client.d.ts").read_text()
    installed = tmp_path / "node_modules" / PACKAGE["name"]
    shutil.copytree(PAGE, installed)
    (tmp_path / "use.mts").write_text(USE)
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "false"]
    run("tsc", *options, "use.mts", folder=tmp_path)
