"""docker-compose.cells.yml: two cells that share a proxy and nothing else. Compose itself is not at hand in tests."""

from __future__ import annotations

from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from service.settings import ServiceSettings
from tests.harness.settings_pages import COMPOSE, ROOT


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Loader of Compose's files: `!reset` and `!override` replace what is merged."""


def construct(loader: Loader, node: yaml.Node) -> object:
    """Return the value of a tagged node."""
    return (
        loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else loader.construct_mapping(node, True)
    )


for tag in ("!reset", "!override"):
    Loader.add_constructor(tag, construct)

BASE: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
CELLS: dict[str, Any] = yaml.load((ROOT / "docker-compose.cells.yml").read_text(), Loader)  # noqa: S506 - a safe loader
SERVICES: dict[str, Any] = CELLS["services"]


@pytest.mark.parametrize("service", ["api", "api-01"])
def test_each_api_knows_its_cell_and_both_addresses(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy and the other cell find it under its name."""
    variables = SERVICES[service]["environment"]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = ServiceSettings()
    address = {each.name: each.url for each in settings.cells}[settings.cell]
    names = {service, *SERVICES[service]["networks"]["default"]["aliases"]}
    assert {address.removeprefix("http://").removesuffix(":8000"), "api"} == names


def test_the_second_cell_is_made_of_the_services_of_the_first() -> None:
    """In networks and a volume of its own: its `redis` is its own."""
    for name, service in SERVICES.items():
        if "extends" in service:
            assert service["extends"]["file"] == COMPOSE.name
            assert service["extends"]["service"] in BASE["services"]
            assert name == f"{service['extends']['service']}-01"
            assert "store" not in service["networks"]
            assert "store-01" in service["networks"]
    assert SERVICES["redis-01"]["networks"]["store-01"]["aliases"] == ["redis"]
    (volume,) = SERVICES["redis-01"]["volumes"]
    assert volume.partition(":")[0] in CELLS["volumes"]
    assert CELLS["networks"]["store-01"] == {"internal": True}
