"""deploy/kubernetes: built by kubectl's kustomize, checked by the schemas of its kinds, and equal to compose and settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator

from service.contract.redis_keys import queue_name
from service.server import SHUTDOWN_SECONDS
from service.settings import ServiceSettings
from tests.harness.settings_pages import names_in_compose, settings
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
SCHEMAS = Path(__file__).parent / "schemas"
OVERLAYS = sorted(path.parent.name for path in FOLDER.glob("overlays/*/kustomization.yaml"))
KUBERNETES = "1.37"
WORKLOADS = ("Deployment", "StatefulSet")
SPARE_SECONDS = 10
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

Manifest = dict[str, Any]


@cache
def built(overlay: str) -> list[Manifest]:
    """Return the manifests of an overlay."""
    kubectl = Path(sys.executable).parent / "kubectl"
    command = [str(kubectl), "kustomize", str(FOLDER / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower(), done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> Iterator[Manifest]:
    """Yield the manifests of some kinds."""
    return (each for each in built(overlay) if each["kind"] in kinds)


def name(manifest: Manifest) -> str:
    """Return the name of a manifest."""
    return str(manifest["metadata"]["name"])


def pod(manifest: Manifest) -> dict[str, Any]:
    """Return the specification of a workload's pods."""
    specification: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return specification


def pod_labels(manifest: Manifest) -> dict[str, str]:
    """Return the labels of a workload's pods."""
    labels: dict[str, str] = manifest["spec"]["template"]["metadata"]["labels"]
    return labels


def role(manifest: Manifest) -> str:
    """Return what a workload's pods are: api, worker, redis or proxy."""
    return pod_labels(manifest)["app.kubernetes.io/name"]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Return whether a selector of labels and expressions, all `In`, selects pods with `labels`."""
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def environment(overlay: str, manifest: Manifest) -> dict[str, str]:
    """Return the variables of a workload's container; a secret has none here."""
    maps = {name(each): each["data"] for each in of_kind(overlay, "ConfigMap")}
    (container,) = pod(manifest)["containers"]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]] if "configMapRef" in source else {}
    return found | {each["name"]: each["value"] for each in container.get("env", [])}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_is_valid(overlay: str) -> None:
    """No unknown member either: Kubernetes would refuse or ignore it."""
    custom = {path.stem: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    for each in built(overlay):
        if schema := custom.get(each["kind"]):
            Draft202012Validator(schema).validate(each)
        else:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_the_schemas_refuse_what_is_unknown() -> None:
    """Of each custom kind."""
    for path in SCHEMAS.glob("*.json"):
        (manifest,) = list(of_kind("cpu", path.stem))[:1]
        schema = Draft202012Validator(json.loads(path.read_text()))
        assert schema.is_valid(manifest)
        assert not schema.is_valid({**manifest, "spec": {**manifest["spec"], "unheardOf": 1}})


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_name_that_a_manifest_refers_to_exists(overlay: str) -> None:
    """Suffixes of cells and workers change names: a reference that does not follow would be seen only in the cluster."""
    names = {(each["kind"], name(each)) for each in built(overlay)}
    for each in of_kind(overlay, "ScaledObject"):
        assert ("Deployment", each["spec"]["scaleTargetRef"]["name"]) in names
    for each in of_kind(overlay, "StatefulSet"):
        assert ("Service", each["spec"]["serviceName"]) in names
    for each in of_kind(overlay, "Ingress"):
        for rule in each["spec"]["rules"]:
            assert {("Service", path["backend"]["service"]["name"]) for path in rule["http"]["paths"]} <= names
    for each in of_kind(overlay, *WORKLOADS):
        variables = environment(overlay, each)
        if url := variables.get("SPN_REDIS_URL"):
            assert ("Service", url.removeprefix("redis://").partition(":")[0]) in names


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_workload_has_one_budget_and_one_service_selects_its_pods(overlay: str) -> None:
    """And a network policy: what none selects is open to all."""
    named = [
        each for each in of_kind(overlay, "Service") if (overlay, name(each)) != ("cells", "api")
    ]  # that of all cells
    services = [each["spec"]["selector"] for each in named]
    for each in of_kind(overlay, *WORKLOADS):
        labels = pod_labels(each)
        assert len([b for b in of_kind(overlay, "PodDisruptionBudget") if selects(b["spec"]["selector"], labels)]) == 1
        assert len([p for p in of_kind(overlay, "NetworkPolicy") if selects(p["spec"]["podSelector"], labels)]) == 1
        assert len([s for s in services if s.items() <= labels.items()]) == (role(each) != "worker")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_container_has_rights_and_all_are_bounded_and_probed(overlay: str) -> None:
    """As the restricted profile of Kubernetes asks, and with a root file system that cannot be written."""
    for each in of_kind(overlay, *WORKLOADS):
        specification = pod(each)
        assert specification["automountServiceAccountToken"] is False
        assert specification["enableServiceLinks"] is False  # their variables would be taken for settings
        assert specification["securityContext"]["runAsNonRoot"] is True
        assert specification["securityContext"]["runAsUser"] > 0
        assert specification["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = specification["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["limits"]) & set(container["resources"]["requests"]) | {
            "cpu"
        }
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_liveness_depends_on_redis(overlay: str) -> None:
    """Else a restart of Redis would restart everything that waits for it."""
    for each in of_kind(overlay, *WORKLOADS):
        probe = pod(each)["containers"][0]["livenessProbe"]
        assert "tcpSocket" in probe or probe["httpGet"]["path"] == "/healthz"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_grace_periods_follow_from_the_drain(overlay: str) -> None:
    """A worker has its drain and ten seconds more, the API its pause before the stop, its shutdown and some."""
    for each in of_kind(overlay, *WORKLOADS):
        grace, variables = pod(each)["terminationGracePeriodSeconds"], environment(overlay, each)
        match role(each):
            case "worker":
                drain = float(variables.get("SPN_DRAIN_SECONDS", WorkerSettings().drain_seconds))
                assert grace == drain + SPARE_SECONDS
            case "api":
                pause = pod(each)["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
                assert pause + SHUTDOWN_SECONDS < grace <= pause + SHUTDOWN_SECONDS + SPARE_SECONDS
            case other:
                assert grace >= float(COMPOSE[other]["stop_grace_period"].removesuffix("s"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_is_known_and_accepted(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the class of its process; a typing error would do nothing."""
    known = {each.variable for each in settings()}
    for each in of_kind(overlay, "Deployment"):
        variables = {key: value for key, value in environment(overlay, each).items() if key.startswith("SPN_")}
        assert set(variables) <= known
        with monkeypatch.context() as patch:
            for key, value in variables.items():
                patch.setenv(key, value)
            if role(each) == "api":
                ServiceSettings()
            if role(each) == "worker":
                worker = WorkerSettings()
                assert pod_labels(each)["model"] == worker.model
                assert pod_labels(each)["device"] == worker.device


def test_redis_runs_as_in_compose() -> None:
    """Durable, and full means refused."""
    (redis,) = of_kind("cpu", "StatefulSet")
    command = COMPOSE["redis"]["command"].replace("${REDIS_MAXMEMORY:-512mb}", "512mb").replace('""', "")
    assert " ".join(pod(redis)["containers"][0]["args"]).split() == command.split()
    (template,) = redis["spec"]["volumeClaimTemplates"]
    assert {"name": template["metadata"]["name"], "mountPath": "/data"} in pod(redis)["containers"][0]["volumeMounts"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_workers_are_scaled_by_the_jobs_of_their_own_model_and_cell(overlay: str) -> None:
    """Those that wait and those that run: a worker must not be stopped because its queue is empty."""
    deployments = {name(each): each for each in of_kind(overlay, "Deployment")}
    scaled = [each for each in of_kind(overlay, "ScaledObject") if each["spec"]["triggers"][0]["type"] == "prometheus"]
    assert scaled
    for each in scaled:
        target = deployments[each["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"]
        labels = {"namespace": target["metadata"]["namespace"], **pod_labels(target)}
        query = each["spec"]["triggers"][0]["metadata"]["query"]
        for metric in ("spn_jobs_queued", "spn_jobs_running"):
            (matched,) = re.findall(rf"max\({metric}{{(.*?)}}\)", query)
            wanted = [f'{key}="{labels[key]}"' for key in ("namespace", "cell", "model") if key in labels]
            assert matched.split(",") == wanted
        assert each["spec"]["fallback"]["replicas"] == each["spec"]["maxReplicaCount"]
        assert queue_name(labels["model"]) == f"spn:{labels['model']}"


def test_cells_know_each_other_and_share_nothing() -> None:
    """Each has its own Redis, which only its own API and workers reach."""
    apis = {pod_labels(each)["cell"]: each for each in of_kind("cells", "Deployment") if role(each) == "api"}
    assert len(apis) == 2
    (cells,) = {environment("cells", each)["SPN_CELLS"] for each in apis.values()}
    assert cells == ",".join(f"{cell}=http://api-{cell}:8000" for cell in sorted(apis))
    for cell, api in apis.items():
        variables = environment("cells", api)
        assert (variables["SPN_CELL"], variables["SPN_REDIS_URL"]) == (cell, f"redis://redis-{cell}:6379/0")
        (redis,) = (each for each in of_kind("cells", "NetworkPolicy") if name(each) == f"redis-{cell}")
        for peer in redis["spec"]["ingress"][0]["from"]:
            assert peer["podSelector"]["matchLabels"]["cell"] == cell
    (any_cell,) = (each for each in of_kind("cells", "Service") if name(each) == "api")
    assert all(any_cell["spec"]["selector"].items() <= pod_labels(api).items() for api in apis.values())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_proxy_has_the_configuration_of_compose_and_names_of_this_namespace(overlay: str) -> None:
    """One nginx.conf; only where the API is found differs."""
    (proxy,) = (each for each in of_kind(overlay, "Deployment") if role(each) == "proxy")
    (volume,) = (each["configMap"]["name"] for each in pod(proxy)["volumes"] if "configMap" in each)
    (files,) = (each["data"] for each in of_kind(overlay, "ConfigMap") if name(each) == volume)
    assert files["nginx.conf"] == (ROOT / "docker" / "nginx.conf").read_text()
    namespace = proxy["metadata"]["namespace"]
    assert set(re.findall(r"(\w+)\.svc\.cluster\.local:", files["names.conf"])) == {namespace}
    names = {name(each) for each in of_kind(overlay, "Service")}
    cells = {name(each).partition("-")[2] for each in of_kind(overlay, "StatefulSet")} - {""}
    assert {"api", *(f"api-{cell}" for cell in cells)} <= names


def test_every_setting_of_compose_is_in_the_table() -> None:
    """So that who comes from compose finds what it is here."""
    table = set(re.findall(r"^\| `([A-Z_]+)`", (FOLDER / "README.md").read_text(), re.MULTILINE))
    others = {each for each in names_in_compose() if not each.startswith("SPN_")}
    assert others <= table
    assert {each for each in table if not each.startswith("SPN_")} <= others | {"FORWARDED_ALLOW_IPS"}
