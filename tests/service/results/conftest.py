"""Object stores: a folder, and a bucket of a real S3 server behind a gate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.object_stores import BUCKET, Gate, S3Server, credentials, gated


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server."""
    folder = tmp_path_factory.mktemp("s3")
    with S3Server(folder, log=folder.parent / "s3.log") as server:
        yield server


@pytest.fixture(scope="session")
def gate(s3: S3Server) -> Iterator[Gate]:
    """A gate before the server; the environment has the credentials for it."""
    with gated(s3.port) as before, credentials(before.port):
        yield before


@pytest.fixture
def bucket(gate: Gate) -> str:
    """A location in the server, which can be reached."""
    gate.open = True
    return f"s3://{BUCKET}/spn"
