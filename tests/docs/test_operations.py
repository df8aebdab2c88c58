"""The operator's page names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from service.metrics import ServiceMetrics
from worker.telemetry.worker_metrics import WorkerMetrics

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def names(registry: CollectorRegistry) -> list[str]:
    """Our own metrics, as they are queried."""
    families = (family for family in registry.collect() if family.name.startswith("spn_"))
    return [f"{family.name}_total" if family.type == "counter" else family.name for family in families]


def test_every_metric_has_its_row_on_the_operators_page() -> None:
    """And no row is about a metric that is gone."""
    described = re.findall(r"^\| `(spn_\w+)`", PAGE.read_text(), re.MULTILINE)
    assert sorted(described) == sorted([*names(ServiceMetrics().registry), *names(WorkerMetrics("toy").registry)])
