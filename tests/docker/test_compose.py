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
OF_PROCESS = {"api": "API", "worker": "worker", "worker-gpu": "worker"}
LEFT_ALONE = {
    "api": {"SPN_PORT"},  # of the container; PORT is the one outside
    "worker": {"SPN_DEVICE", "SPN_ARTEFACTS"},  # the CPU; the image's
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


def test_dockerfiles_are_clean() -> None:
    """What is excepted says why beside it."""
    files = sorted(str(path) for path in (ROOT / "docker").glob("*.Dockerfile"))
    linter = Path(sys.executable).parent / "hadolint"
    assert subprocess.run([linter, *files], capture_output=True, text=True, check=False).stdout == ""
