"""Both ways in which slices start: row by row, and all in one call."""

from __future__ import annotations

import pytest

from models.sampling.backends.backend import BackendFactory
from models.sampling.backends.eager import EagerBackend
from tests.models.sampling.fake_cuda import graph_on_a_cpu


@pytest.fixture(params=["row by row", "in one call"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> BackendFactory:
    """Return the backend of torch for a CPU, and that for CUDA, with torch on a CPU as its device."""
    return graph_on_a_cpu(monkeypatch) if request.param == "in one call" else EagerBackend
