"""The checks of this machine: weights, device, compiler, folder of compiled code, threads."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch

from models.checkpoint import load_model
from models.errors import CheckpointError, NoCompilerError
from models.sampling.native import compiler as cxx
from worker.device.cores import cores, whole_cores
from worker.device.selection import check_device
from worker.doctor.findings import Finding, advice, fine, wrong
from worker.errors import DeviceMissingError
from worker.settings import WorkerSettings


def machine_findings(settings: WorkerSettings) -> list[Finding]:
    """Return the findings about this machine."""
    return [
        weights(settings.models / settings.model),
        device(settings.device),
        compiler(wanted=settings.compile),
        *([cache(settings.artefacts)] if settings.compile else []),
        threads(settings.threads or whole_cores(), cores()),
    ]


def weights(folder: Path) -> Finding:
    """Check card and tensors as a worker loads them: the sha256, every name and every shape."""
    try:
        _, card = load_model(folder)
    except CheckpointError as error:
        return wrong(
            "weights", str(error), "copy the model's folder again, or set SPN_MODELS and SPN_MODEL to one that is whole"
        )
    if card.name != folder.name:
        cure = f'"name": "{folder.name}" in card.json, or rename the folder: jobs wait in the queue of the card\'s name'
        return wrong("weights", f"the folder {folder.name} has the card of {card.name}", cure)
    return fine("weights", f"{card.name}, {card.parameters / 1e6:.1f} M parameters, sha256 {card.sha256[:12]}")


def device(name: str) -> Finding:
    """Check whether torch has the device."""
    if name == "cpu":
        return fine("device", f"cpu, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}")
    try:
        check_device(name)
    except DeviceMissingError as error:
        cure = "nvidia-smi must list it, and torch be a CUDA build (docker compose --profile gpu); or SPN_DEVICE=cpu"
        return wrong("device", f"{name}: {error}", cure)
    return fine("device", f"{name}, {torch.cuda.get_device_name(name)}, torch {torch.__version__}")


def compiler(*, wanted: bool) -> Finding:
    """Check whether the sampler can be compiled."""
    if not wanted:
        return advice("compiler", "SPN_COMPILE is off: many times slower", "leave it on")
    try:
        cxx.compile_with("--version")
    except NoCompilerError as error:
        return advice("compiler", f"{error}: many times slower", "install g++, or set CXX to another")
    return fine("compiler", cxx.command())


def cache(folder: Path) -> Finding:
    """Check whether compiled code can be kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        cure = f"make it writable for user {os.getuid()}, or set SPN_ARTEFACTS to a folder that is"
        return wrong("cache", f"{folder}: {error.strerror}", cure)
    kept = any(folder.glob("*.so"))
    return fine(
        "cache", f"{folder}, compiled" if kept else f"{folder}, empty: the first start compiles for some seconds"
    )


def threads(count: int, cores: float) -> Finding:
    """Check the number of threads: more threads than cores do not help."""
    seen = f"{count} on {cores:g} cores"
    if count > max(1, cores):
        return advice("threads", seen, "unset SPN_THREADS: one for each core")
    return fine("threads", seen)
