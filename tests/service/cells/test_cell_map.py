"""Which cell has a job, and which ones take a submit."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import ValidationError

from service.cells.cell_map import CellAddress, CellMap
from service.contract.redis_keys import is_job_id
from service.settings import ServiceSettings

THREE = CellMap(own="01", urls={"00": "http://a", "01": "http://b", "02": "http://c"})
KEYS = [f"key-{number}" for number in range(300)]


def test_the_id_of_a_job_names_its_cell() -> None:
    """And is an id as any other."""
    job = THREE.new_id()
    assert is_job_id(job)
    assert [THREE.of_job(f"{cell}{job[2:]}") for cell in ("00", "01", "02")] == ["00", "01", "02"]
    assert THREE.of_path(f"/jobs/02{job[2:]}/images/0") == "02"


def test_a_job_from_before_the_cells_is_of_the_first_one() -> None:
    """So that one Redis can become the first cell."""
    job = CellMap().new_id()
    assert THREE.of_job(job) == "00"
    assert CellMap().of_job(job) == ""


@pytest.mark.parametrize("path", ["/jobs/ff" + "0" * 24, "/jobs/" + "0" * 25, "/jobs", "/generate", "/", "/jobsx/"])
def test_what_names_no_cell_is_answered_here(path: str) -> None:
    """An unknown cell too: this one knows no such job."""
    assert THREE.of_path(path) == THREE.own


def test_a_key_has_one_home_whichever_cell_is_asked_and_a_new_cell_takes_only_its_own() -> None:
    """All cells have about as many."""
    homes = {key: THREE.home(owner="studio", key=key) for key in KEYS}
    for own in THREE.urls:
        assert {key: CellMap(own=own, urls=THREE.urls).home(owner="studio", key=key) for key in KEYS} == homes
    assert min(Counter(homes.values()).values()) > len(KEYS) / 5
    more = CellMap(own="01", urls={**THREE.urls, "03": "http://d"})
    moved = {key: more.home(owner="studio", key=key) for key in KEYS}
    assert {moved[key] for key in KEYS if moved[key] != homes[key]} == {"03"}


def test_a_full_home_has_one_second_and_other_cells_have_none() -> None:
    """So a key is in two cells at most, and every retry finds the same one."""
    for key in KEYS:
        seconds = {
            own: CellMap(own=own, urls=THREE.urls).second(owner="", key=key, forwarded=True) for own in THREE.urls
        }
        home = THREE.home(owner="", key=key)
        assert seconds[home] in set(THREE.urls) - {home}
        assert all(second == "" for own, second in seconds.items() if own != home)


def test_a_submit_without_a_key_moves_once() -> None:
    """To any other cell."""
    assert {THREE.second(owner="", key=None, forwarded=False) for _ in range(60)} == {"00", "02"}
    assert THREE.second(owner="", key=None, forwarded=True) == ""
    assert CellMap().second(owner="", key=None, forwarded=False) == ""


@pytest.mark.parametrize(
    ("cell", "cells", "expected"),
    [
        ("0", "", "two hexadecimal digits"),
        ("00", "00=ftp://a", "00=http://api-00:8000"),
        ("00", "0x=http://a", "00=http://api-00:8000"),
        ("00", "00=http://a/path", "00=http://api-00:8000"),
        ("00", "00=http://a,00=http://b", "twice"),
        ("02", "00=http://a,01=http://b", "00 or 01"),
        ("", "00=http://a,01=http://b", "00 or 01"),
    ],
)
def test_a_wrong_setting_says_what_is_accepted(
    cell: str, cells: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At start."""
    monkeypatch.setenv("SPN_CELL", cell)
    monkeypatch.setenv("SPN_CELLS", cells)
    with pytest.raises(ValidationError, match=expected):
        ServiceSettings()


def test_settings_become_a_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the setting: the first one has the jobs from before the cells."""
    monkeypatch.setenv("SPN_CELL", "0a")
    monkeypatch.setenv("SPN_CELLS", "0b=http://b:8000/, 0a=https://a")
    settings = ServiceSettings()
    assert settings.cells == (CellAddress(name="0b", url="http://b:8000"), CellAddress(name="0a", url="https://a"))
    assert list(CellMap.of(settings.cell, settings.cells).urls) == ["0b", "0a"]
