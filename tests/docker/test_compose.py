"""Compose, `.env.example`, images and settings agree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service.server import SHUTDOWN_SECONDS
from service.settings import ServiceSettings
from tests.harness.settings_pages import (
    BEGIN,
    CLASSES,
    COMPOSE,
    END,
    ENV_EXAMPLE,
    OF_COMPOSE,
    OPERATIONS,
    ROOT,
    compose_defaults,
    env_example,
    names_in_compose,
    settings,
    table,
)
from worker.settings import WorkerSettings

SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
OF_PROCESS = {"api": "API", "worker": "worker", "worker-128": "worker", "worker-gpu": "worker"}
LEFT_ALONE = {
    "api": {"SPN_PORT"},  # of the container; PORT is the one outside
    "worker": {"SPN_DEVICE", "SPN_ARTEFACTS"},  # the CPU; the image's
    "worker-128": {"SPN_DEVICE", "SPN_ARTEFACTS"},
    "worker-gpu": {"SPN_ARTEFACTS"},
}
OTHER_DEFAULTS = {"SPN_LOG_FORMAT": "json"}
REWRITE = "python -m tests.harness.settings_pages writes it anew"


@pytest.mark.parametrize("service", OF_PROCESS)
def test_a_container_can_be_given_every_setting_of_its_process_and_no_other(service: str) -> None:
    """A setting that compose forgets could not be set; a typing error would do nothing."""
    known = {each.variable for each in settings() if each.process == OF_PROCESS[service]}
    given = {name for name in SERVICES[service]["environment"] if name.startswith("SPN_")}
    assert given == known - LEFT_ALONE[service]


def test_the_example_of_env_names_all_that_compose_reads_with_meaning_and_default() -> None:
    """Made from the settings' classes."""
    assert set(OF_COMPOSE) == {name for name in names_in_compose() if not name.startswith("SPN_")}
    assert ENV_EXAMPLE.read_text() == env_example(), REWRITE
    named = set(re.findall(r"^#(\w+)=", ENV_EXAMPLE.read_text(), re.MULTILINE))
    assert named == names_in_compose()


def test_the_operators_table_of_settings_is_made_from_their_classes() -> None:
    """With defaults and bounds."""
    written = OPERATIONS.read_text().partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == table().strip(), REWRITE


def test_compose_has_the_defaults_of_the_settings() -> None:
    """But for the format of the log."""
    defaults = {each.variable: each.default for each in settings()}
    said = {name: default for name, default in compose_defaults().items() if name in defaults}
    assert said == {name: OTHER_DEFAULTS.get(name, defaults[name]) for name in said}


def test_the_example_of_env_is_taken_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line without its mark, what is empty included, gives the settings that nothing gives."""
    monkeypatch.delenv("SPN_LOG_FORMAT", raising=False)
    plain = [kind() for kind in CLASSES.values()]
    for name, value in re.findall(r"^#(SPN_\w+)=(.*)$", ENV_EXAMPLE.read_text(), re.MULTILINE):
        monkeypatch.setenv(name, "text" if name == "SPN_LOG_FORMAT" else value)
    assert [ServiceSettings(), WorkerSettings()] == plain


def test_every_container_is_bounded_checked_and_without_rights() -> None:
    """Also those of profiles, which no other test starts."""
    for service in SERVICES.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
        assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
        assert "healthcheck" in service or has_check(service)
        assert "user" in service or "USER 1000:1000" in dockerfile(service)


def has_check(service: dict[str, Any]) -> bool:
    """Whether its image has one."""
    return "HEALTHCHECK" in dockerfile(service)


def dockerfile(service: dict[str, Any]) -> str:
    """What its image is built by."""
    build = service.get("build") or SERVICES["worker"]["build"]
    return (ROOT / str(build["dockerfile"])).read_text()


def test_stop_periods_leave_room_for_the_drain() -> None:
    """The API ends requests in its own period; a worker gives its jobs up, to nobody, only after a whole lease."""
    assert seconds(SERVICES["api"]) > 2 * SHUTDOWN_SECONDS
    for name, process in OF_PROCESS.items():
        if process == "worker":
            assert seconds(SERVICES[name]) > 2 * WorkerSettings().lease_seconds


def seconds(service: dict[str, Any]) -> float:
    """Between SIGTERM and SIGKILL."""
    return float(service["stop_grace_period"].removesuffix("s"))


@pytest.mark.parametrize("lock", sorted(path.name for path in (ROOT / "docker").glob("*.lock")))
def test_images_get_the_versions_that_the_tests_run_with(lock: str) -> None:
    """Each with hashes, and the version of requirements.lock; `make lock` writes them anew."""
    pinned = {
        canonicalize_name(line.split("==")[0]): line.split("==")[1].strip() for line in lines("requirements.lock")
    }
    for block in (ROOT / "docker" / lock).read_text().replace("\\\n", " ").splitlines():
        if block.startswith("#"):
            continue
        asked, *hashes = block.split()
        name, version = asked.split("==")
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes)
        assert version.partition("+")[0] == pinned.get(canonicalize_name(name), version)


@pytest.mark.parametrize("image", ["api", "worker", "torch-cuda"])
def test_a_lock_holds_all_that_its_image_asks_for(image: str) -> None:
    """`make lock` was run."""
    locked = {canonicalize_name(line.split("==")[0]) for line in lines(f"docker/{image}.lock")}
    asked = {canonicalize_name(Requirement(line).name) for line in lines(f"docker/{image}.in")}
    assert asked <= locked


def lines(path: str) -> list[str]:
    """Of a file of requirements: neither comments nor hashes."""
    return [line for line in (ROOT / path).read_text().splitlines() if line and line[0] not in "# "]


def test_there_is_one_cuda_version() -> None:
    """In the lock of the image, the Makefile and the documents: a driver that runs one runs the other."""
    (toolkit,) = (line for line in lines("docker/torch-cuda.lock") if line.startswith("cuda-toolkit=="))
    major, minor, *_ = toolkit.partition("==")[2].split(".")
    found = {
        path: set(re.findall(r"whl/(cu\d+)", (ROOT / path).read_text()))
        for path in ("Makefile", "README.md", "docs/operations.md", "docs/training.md", "CONTRIBUTING.md")
    }
    assert found["Makefile"]
    assert {version for versions in found.values() for version in versions} == {f"cu{major}{minor}"}
    assert f"CUDA {major}.{minor}" in (ROOT / "docs/operations.md").read_text()


def test_compiled_code_is_kept_in_the_volume_of_a_worker() -> None:
    """The root file system is read-only, and a start that compiles all of it again takes minutes."""
    caches = dict(re.findall(r"(\w+_(?:ARTEFACTS|CACHE_\w+))=(/\S+)", dockerfile(SERVICES["worker-gpu"])))
    assert set(caches) == {"SPN_ARTEFACTS", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH"}
    assert all(folder.startswith("/cache/") for folder in caches.values())
    assert "passes:/cache" in SERVICES["worker-gpu"]["volumes"]


def test_compilers_use_no_more_processes_than_a_container_has_cores() -> None:
    """Inductor would start one for each core of the host."""
    (threads,) = re.findall(r"TORCHINDUCTOR_COMPILE_THREADS=(\d+)", dockerfile(SERVICES["worker-gpu"]))
    assert SERVICES["worker-gpu"]["deploy"]["resources"]["limits"]["cpus"] == f"${{WORKER_CPUS:-{threads}}}"


def test_the_documented_container_of_another_gpu_is_that_of_the_first_but_for_its_device() -> None:
    """Nothing but a service that exists, and a setting of a worker that is accepted."""
    written = re.search(r"```yaml\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert written
    for number, service in enumerate(yaml.safe_load(written[1])["services"].values(), start=1):
        assert service["extends"] == {"file": COMPOSE.name, "service": "worker-gpu"}
        assert service["environment"] == {"SPN_DEVICE": f"cuda:{number}"}
        assert WorkerSettings(device=service["environment"]["SPN_DEVICE"]).device == f"cuda:{number}"


def test_dockerfiles_are_clean() -> None:
    """What is excepted says why beside it."""
    files = sorted(str(path) for path in (ROOT / "docker").glob("*.Dockerfile"))
    linter = Path(sys.executable).parent / "hadolint"
    assert subprocess.run([linter, *files], capture_output=True, text=True, check=False).stdout == ""
