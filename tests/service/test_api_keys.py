"""API keys, from the command that makes them to the setting that lets them in."""

from __future__ import annotations

import json
import subprocess

import pytest
from pydantic import ValidationError

from service.api_keys import KeyHash, sha256_of
from service.settings import KEYED_RATE, ServiceSettings
from tests.harness.launcher import run_module

STUDIO, CI = sha256_of("a"), sha256_of("b")
BAD_KEYS = {
    "no hash": "studio",
    "no name": f":{STUDIO}",
    "a name with a colon in it": f"a:b:{STUDIO}",
    "a short hash": f"studio:{STUDIO[:-1]}",
    "the key itself": "studio:spn_secret",
    "one hash twice": f"studio:{STUDIO},ci:{STUDIO}",
    "broken JSON": '{"studio":',
    "a number": '{"studio": 1}',
    "a weight of 0": f"studio:{STUDIO}:0",
    "a weight that is no number": f"studio:{STUDIO}:heavy",
    "two weights of one owner": f"studio:{STUDIO}:2,studio:{CI}:3",
}


def made_key(name: str) -> subprocess.CompletedProcess[str]:
    """What the command prints."""
    return run_module("service.api_keys", name, settings={})


def test_the_command_makes_a_key_and_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says to add to SPN_KEYS lets in the key that it shows."""
    key, entry, command = (line.partition(": ")[2].strip() for line in made_key("studio").stdout.splitlines())
    monkeypatch.setenv("SPN_KEYS", entry)
    assert ServiceSettings().keys == (KeyHash(name="studio", sha256=sha256_of(key)),)
    assert command == "python -m service.webhooks studio"


def test_the_command_refuses_a_name_that_the_setting_would_refuse() -> None:
    """A colon separates names from hashes."""
    assert made_key("a:b").returncode == 2


@pytest.mark.parametrize(
    "setting",
    [f"studio:{STUDIO},ci:{CI}", f" studio:{STUDIO.upper()} , ci:{CI},", json.dumps({"studio": STUDIO, "ci": CI})],
)
def test_keys_are_a_list_or_a_json_object(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both say the same."""
    monkeypatch.setenv("SPN_KEYS", setting)
    assert ServiceSettings().keys == (KeyHash(name="studio", sha256=STUDIO), KeyHash(name="ci", sha256=CI))


def test_a_key_may_have_a_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its hash, in both forms."""
    for setting in (f"studio:{STUDIO}:3,ci:{CI}", json.dumps({"studio": f"{STUDIO}:3", "ci": CI})):
        monkeypatch.setenv("SPN_KEYS", setting)
        assert {key.name: key.weight for key in ServiceSettings().keys} == {"studio": 3, "ci": 1}


def test_one_owner_may_have_half_of_the_queue_by_default() -> None:
    """With keys; without, everybody is one owner."""
    keys = (KeyHash(name="studio", sha256=STUDIO),)
    assert ServiceSettings(keys=keys, queue_bound=100).jobs_per_owner == 50
    assert ServiceSettings(keys=keys, concurrency=0).jobs_per_owner == 0
    assert ServiceSettings().jobs_per_owner == 0


@pytest.mark.parametrize("case", BAD_KEYS)
def test_a_bad_setting_is_refused_without_repeating_it(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a key: the log gets the reason, not the value."""
    monkeypatch.setenv("SPN_KEYS", BAD_KEYS[case])
    with pytest.raises(ValidationError) as refused:
        ServiceSettings()
    assert refused.value.errors()[0]["loc"] == ("keys",)
    assert STUDIO[:-1] not in str(refused.value)
    assert "spn_secret" not in str(refused.value)


def test_the_api_says_which_setting_is_wrong() -> None:
    """By the name of the variable, without a traceback."""
    ran = run_module("service.main", settings={"KEYS": "studio:abc"})
    assert ran.returncode == 2
    assert "SPN_KEYS=(hidden) is not accepted: studio: expected the sha256 of a key" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_empty_variable_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose passes on what is not set as an empty string."""
    for name in ("SPN_KEYS", "SPN_SECRET", "SPN_CORS_ORIGINS", "SPN_RATE_PER_MINUTE"):
        monkeypatch.setenv(name, "")
    assert ServiceSettings() == ServiceSettings(keys=(), secret=None, cors_origins=(), rate_per_minute=None)


@pytest.mark.parametrize("origin", ["*", "studio.example", "https://studio.example/", "https://*.example"])
def test_an_origin_is_explicit(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wildcards, and nothing that a browser would not send as an origin."""
    monkeypatch.setenv("SPN_CORS_ORIGINS", f"http://localhost:3000,{origin}")
    with pytest.raises(ValidationError, match="expected origins like"):
        ServiceSettings()


def test_the_rate_is_limited_where_there_are_keys() -> None:
    """An open server is one person's; zero lifts the limit."""
    keys = (KeyHash(name="studio", sha256=STUDIO),)
    assert ServiceSettings().submits_per_minute == 0
    assert ServiceSettings(keys=keys).submits_per_minute == KEYED_RATE
    assert ServiceSettings(keys=keys, rate_per_minute=0).submits_per_minute == 0
    assert ServiceSettings(rate_per_minute=5).submits_per_minute == 5
