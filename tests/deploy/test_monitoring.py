"""The alert rules by promtool, and the dashboard: every expression is valid, and every metric exists."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry

from service.metrics import ServiceMetrics
from service.settings import ServiceSettings
from worker.telemetry.worker_metrics import WorkerMetrics

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
CASES = Path(__file__).parent / "alerts.yaml"
SPEC: dict[str, Any] = yaml.safe_load((FOLDER / "monitoring" / "alerts.yaml").read_text())["spec"]
ALERTS: list[dict[str, Any]] = [rule for group in SPEC["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "monitoring" / "dashboard.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
SCALERS = re.findall(r"query: (max.*)", (FOLDER / "worker" / "worker.yaml").read_text())
COLUMNS = 24

PROMTOOL = which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="needs promtool, of Debian's package prometheus")


def promtool(*arguments: str, folder: Path) -> None:
    """Run promtool on `rules.yaml` in `folder`."""
    done = subprocess.run([str(PROMTOOL), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def exported() -> set[str]:
    """Return the names of all samples that API and workers export, those of a histogram among them."""
    registries: tuple[CollectorRegistry, ...] = (ServiceMetrics().registry, WorkerMetrics("toy").registry)
    families = [family for registry in registries for family in registry.collect()]
    found = {sample.name for family in families for sample in family.samples}
    for family in families:
        kinds = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}.get(family.type, ("",))
        found |= {f"{family.name}{kind}" for kind in kinds}
    return found


@needs_promtool
def test_every_alert_fires_when_it_should_and_no_sooner(tmp_path: Path) -> None:
    """By the cases beside this file."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(SPEC))
    (tmp_path / "cases.yaml").write_text(CASES.read_text())
    cases = yaml.safe_load(CASES.read_text())
    for test in cases["tests"]:  # texts are not compared: `exp_annotations` would repeat all of them
        for each in test["alert_rule_test"]:
            for alert in each.get("exp_alerts", []):
                alert["exp_annotations"] = texts(each["alertname"], alert["exp_labels"])
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(cases))
    promtool("check", "rules", "rules.yaml", folder=tmp_path)
    promtool("test", "rules", "cases.yaml", folder=tmp_path)


def texts(alert: str, labels: dict[str, str]) -> dict[str, str]:
    """Return the texts of an alert with its labels filled in."""
    (rule,) = (each for each in ALERTS if each["alert"] == alert)
    filled = {**labels, "value": "900"}
    return {
        name: re.sub(r"{{ \$(?:labels\.)?(\w+) }}", lambda found: filled.get(found[1], ""), text)
        for name, text in rule["annotations"].items()
    }


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    """And one in which it does not."""
    expected = [each for test in yaml.safe_load(CASES.read_text())["tests"] for each in test["alert_rule_test"]]
    names = {each["alert"] for each in ALERTS}
    assert {each["alertname"] for each in expected if each.get("exp_alerts")} == names
    assert {each["alertname"] for each in expected if not each.get("exp_alerts")} == names


@needs_promtool
def test_every_expression_of_dashboard_and_scaler_is_valid(tmp_path: Path) -> None:
    """As recording rules: promtool reads no dashboards."""
    expressions = [re.sub(r"\$\w+", "any", each) for each in [*EXPRESSIONS, *SCALERS]]
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", "rules.yaml", folder=tmp_path)


def test_every_metric_exists() -> None:
    """A renamed metric would leave an alert silent and a panel empty."""
    named = {name for each in [*EXPRESSIONS, *SCALERS, *(rule["expr"] for rule in ALERTS)] for name in metrics_in(each)}
    assert named <= exported()
    own = {re.sub(r"_(bucket|sum|count|total|created)$", "", name) for name in exported() if name.startswith("spn_")}
    shown = {re.sub(r"_(bucket|sum|count|total)$", "", name) for each in EXPRESSIONS for name in metrics_in(each)}
    assert own <= shown


def metrics_in(expression: str) -> set[str]:
    """Return the names of metrics in an expression."""
    return set(re.findall(r"\b(?:spn|process)_\w+", expression))


def test_the_queue_alert_comes_before_the_queue_is_full() -> None:
    """At four fifths of the default bound."""
    (alert,) = (each for each in ALERTS if each["alert"] == "SubscaleQueueNearlyFull")
    assert alert["expr"].endswith(f" > {ServiceSettings().queue_bound * 4 // 5}")


def test_no_two_panels_share_an_id_or_a_place() -> None:
    """And none is wider than the page."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS for panel in panels)
