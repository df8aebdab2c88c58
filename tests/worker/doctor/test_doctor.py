"""The doctor against real Redis servers and real models, well and ill; what it advises helps."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import redis
import torch

from models.cards import TENSORS
from service.contract.redis_keys import workers_key
from tests.harness.launcher import RedisServer, eager, run_module, working
from worker.device.cores import cores, whole_cores
from worker.doctor.findings import Finding, Level
from worker.doctor.machine_check import cache, compiler, device, threads, weights
from worker.doctor.store_check import redis_findings

SAFE = ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "100mb", "--maxmemory-policy", "noeviction")


def of_redis(port: int, password: str = "") -> dict[str, Finding]:
    """What is found there, by subject; the worst where there are several."""
    found = redis_findings(f"redis://{password and f':{password}@'}127.0.0.1:{port}/0", "toy")
    return {finding.subject: finding for finding in sorted(found, key=lambda finding: list(Level).index(finding.level))}


def doctor(settings: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as an operator calls it."""
    return run_module("worker.doctor", *arguments, settings=settings)


def test_a_sound_machine_is_told_so(tmp_path: Path, models: Path) -> None:
    """Exit status 0, nothing wrong, every subject named; the one advice is that no worker lives."""
    with RedisServer(tmp_path, *SAFE) as server:
        settings = {"REDIS_URL": server.url, "MODELS": str(models), "MODEL": "toy"}
        done = doctor(settings | {"ARTEFACTS": str(tmp_path / "passes")})
    assert (done.returncode, done.stderr) == (0, "")
    found = dict(re.findall(r"^(?:fine|advice) +(\w+) +(.*)$", done.stdout, re.MULTILINE))
    subjects = ["redis", "persistence", "appendfsync", "eviction", "memory", "workers"]
    assert list(found) == [*subjects, "weights", "device", "compiler", "cache", "threads"]
    assert found["workers"] == "no worker of toy lives: its jobs wait"
    assert "the first start compiles" in found["cache"]


def test_what_is_wrong_leads_to_exit_status_1(tmp_path: Path, models: Path) -> None:
    """A Redis that forgets and a model that is not there, each with a cure."""
    with RedisServer(tmp_path, "--maxmemory-policy", "allkeys-lru") as server:
        done = doctor({"REDIS_URL": server.url, "MODELS": str(models), "MODEL": "gone"})
    assert done.returncode == 1
    wrong = re.findall(r"^wrong +(\w+) .*\n +-> \S", done.stdout, re.MULTILINE)
    assert wrong == ["persistence", "eviction", "weights"]


@pytest.mark.parametrize(
    ("options", "subject", "level"),
    [
        (["--appendonly", "no"], "persistence", Level.WRONG),
        (["--appendfsync", "no"], "appendfsync", Level.WRONG),
        (["--appendfsync", "everysec"], "appendfsync", Level.ADVICE),
        (["--maxmemory-policy", "volatile-lru"], "eviction", Level.WRONG),
    ],
)
def test_the_cure_cures(tmp_path: Path, options: list[str], subject: str, level: Level) -> None:
    """What the doctor says to type makes its finding fine."""
    with RedisServer(tmp_path, *SAFE, *options) as server, redis.Redis(port=server.port) as client:
        ill = of_redis(server.port)[subject]
        assert ill.level is level
        (command,) = re.findall(r"redis-cli config set (\S+ \S+?)(?:,|$)", ill.cure)
        client.config_set(*command.split())
        assert of_redis(server.port)[subject].level is Level.FINE


def test_memory_without_bound_or_room_is_advised_on(tmp_path: Path) -> None:
    """No maxmemory at all, and one that is nearly used up."""
    with RedisServer(tmp_path, *SAFE) as server, redis.Redis(port=server.port) as client:
        client.config_set("maxmemory", 0)
        assert "no limit" in of_redis(server.port)["memory"].seen
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.1))
        assert "SPN_RETENTION_SECONDS" in of_redis(server.port)["memory"].cure


def test_a_redis_that_hides_its_settings_is_not_taken_for_a_bad_one(tmp_path: Path) -> None:
    """Where CONFIG is refused, as hosted ones do, that is advice."""
    with RedisServer(tmp_path, *SAFE, "--rename-command", "CONFIG", "") as server:
        found = of_redis(server.port)
    assert found["appendfsync"].level is Level.ADVICE
    assert found["eviction"].level is Level.FINE


def test_a_user_without_info_is_told_what_is_unknown(tmp_path: Path) -> None:
    """An ACL may forbid INFO: nothing is known to be wrong, and the workers are still counted."""
    with RedisServer(tmp_path, *SAFE) as server, redis.Redis(port=server.port) as client:
        client.execute_command("ACL", "SETUSER", "default", "-info")
        found = of_redis(server.port)
    assert {name: finding.level for name, finding in found.items()} == dict.fromkeys(("redis", "workers"), Level.ADVICE)
    assert "this user may not run INFO" in found["redis"].seen
    assert "+info" in found["redis"].cure


def test_a_user_without_the_keys_of_the_service_is_told_so(tmp_path: Path) -> None:
    """Its worker could not work."""
    with RedisServer(tmp_path, *SAFE) as server, redis.Redis(port=server.port) as client:
        client.execute_command("ACL", "SETUSER", "default", "resetkeys", "~other:*")
        found = of_redis(server.port)
    assert found["redis"].level is Level.WRONG
    assert "spn:*" in found["redis"].cure


def test_a_failed_snapshot_is_wrong(tmp_path: Path) -> None:
    """Redis refuses writes from then on."""
    folder = tmp_path / "lost"
    folder.mkdir()
    with RedisServer(folder, "--save", "3600 1") as server, redis.Redis(port=server.port) as client:
        shutil.rmtree(folder)
        client.set("key", "value")
        client.bgsave()
        deadline = time.monotonic() + 10
        while client.info("persistence")["rdb_last_bgsave_status"] == "ok":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "refuses writes" in of_redis(server.port)["persistence"].seen


def test_a_replica_is_refused(tmp_path: Path) -> None:
    """It would refuse every write."""
    with RedisServer(tmp_path, *SAFE) as server, redis.Redis(port=server.port) as client:
        client.replicaof("127.0.0.1", 1)
        assert of_redis(server.port)["redis"].seen.startswith("a replica at 127.0.0.1:")


def test_a_redis_that_is_away_or_locked_is_told_apart_and_no_password_shown(tmp_path: Path) -> None:
    """Nobody there, and a wrong password."""
    assert "SPN_REDIS_URL to where it listens" in of_redis(1)["redis"].cure
    with RedisServer(tmp_path, *SAFE) as server, redis.Redis(port=server.port) as client:
        client.config_set("requirepass", "correct horse")
        found = of_redis(server.port, password="hunter2")
        assert list(found) == ["redis"]
        assert "redis://:PASSWORD@HOST" in found["redis"].cure
        assert "hunter2" not in str(found)


def test_weights_that_are_not_what_their_card_says_are_wrong(models: Path, tmp_path: Path) -> None:
    """One bit flipped, and a folder without a card."""
    shutil.copytree(models / "toy", tmp_path / "toy")
    assert weights(tmp_path / "toy").level is Level.FINE
    tensors = bytearray((tmp_path / "toy" / TENSORS).read_bytes())
    tensors[-1] ^= 1
    (tmp_path / "toy" / TENSORS).write_bytes(tensors)
    assert "sha256" in weights(tmp_path / "toy").seen
    assert "card.json cannot be read: No such file" in weights(tmp_path / "none").seen


def test_a_card_of_another_name_is_wrong(models: Path, tmp_path: Path) -> None:
    """Its worker would wait at one queue and its jobs in another."""
    shutil.copytree(models / "toy", tmp_path / "toy-2")
    assert "card of toy" in weights(tmp_path / "toy-2").seen


def test_devices_that_are_not_there_are_wrong() -> None:
    """A CUDA device with too high a number; the CPU is always there."""
    assert device("cpu").level is Level.FINE
    assert device(f"cuda:{torch.cuda.device_count()}").level is Level.WRONG


def test_a_missing_compiler_is_advised_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower, not wrong; so is switching it off."""
    assert compiler(wanted=False).level is Level.ADVICE
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "install g++" in compiler(wanted=True).cure


def test_a_cache_that_cannot_be_written_is_wrong(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").touch()
    assert cache(tmp_path / "file").level is Level.WRONG
    assert cache(tmp_path / "new" / "folder").level is Level.FINE


def test_threads_without_cores_are_advised_on() -> None:
    """More threads than cores; one thread is always right, and so is what is chosen where nothing is set."""
    assert threads(1, 0.5).level is Level.FINE
    assert threads(4, 2).level is Level.ADVICE
    assert threads(2, 2).level is Level.FINE
    assert threads(whole_cores(), cores()).level is Level.FINE


def test_the_health_check_tells_whether_a_worker_of_this_host_lives(redis_url: str, models: Path) -> None:
    """0 beside a worker, 1 for a model without one, for a host without one, and without Redis."""
    own = {"REDIS_URL": redis_url, "MODELS": str(models)}
    with working(eager(redis_url, models, "toy")):
        assert doctor(own | {"MODEL": "toy"}, "--quick").returncode == 0
        assert doctor(own | {"MODEL": "slow"}, "--quick").returncode == 1
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        client.zadd(workers_key("toy"), {"elsewhere-1": 1e15})
    assert doctor(own | {"MODEL": "toy"}, "--quick").returncode == 1
    assert doctor({"REDIS_URL": "redis://127.0.0.1:1/0"}, "--quick").returncode == 1


def test_the_health_check_needs_no_torch() -> None:
    """It runs every half minute in each container."""
    check = "import sys, worker.doctor.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
