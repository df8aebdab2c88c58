"""What the tests of models share: compiled code, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that keeps compiled code."""
    return tmp_path_factory.mktemp("artefacts")
