"""The setting SPN_RESULTS."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.results.location import is_folder, results_location


def test_a_folder_is_made(tmp_path: Path) -> None:
    """Also as a URL."""
    for number, prefix in enumerate(["", "file://"]):
        folder = tmp_path / str(number) / "results"
        assert results_location(f"{prefix}{folder}") == str(folder)
        assert folder.is_dir()


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/a/prefix", "gs://bucket/prefix", "az://container"])
def test_buckets_are_not_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store may be away when a process starts."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    assert results_location(url) == url
    assert not is_folder(url)


@pytest.mark.parametrize("url", ["s3://", "s3:///prefix", "http://host/x", "memory:///", "az://"])
def test_others_are_refused(url: str) -> None:
    """With what is expected."""
    with pytest.raises(ValueError, match=r"expected a folder, s3://BUCKET/PREFIX"):
        results_location(url)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """As where a file has its name."""
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot be made \(Not a directory\)"):
        results_location(str(tmp_path / "file" / "results"))
