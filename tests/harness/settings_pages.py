"""What is written about settings, made from the classes: `python -m tests.harness.settings_pages` writes `.env.example` and the
table of docs/operations.md anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from service.settings import ServiceSettings
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
ENV_EXAMPLE = ROOT / ".env.example"
OPERATIONS = ROOT / "docs" / "operations.md"
COMPOSE = ROOT / "docker-compose.yml"
CLASSES: dict[str, type[BaseSettings]] = {"API": ServiceSettings, "worker": WorkerSettings}

HEAD = """\
# Copy to .env, where `docker compose` reads it, and change what you want. Every line shows the default.
# docs/operations.md tells more of the settings that begin with SPN_.
"""

OF_COMPOSE = {
    "PORT": "Port of this machine's loopback where the API listens. Empty: any free one, for --scale api=2 behind the proxy.",
    "PROXY_PORT": "Port of the profile `proxy`.",
    "PROXY_ADDRESS": "Address of that port. Before you say 0.0.0.0 set SPN_KEYS: without keys the service is open.",
    "MODELS_FOLDER": "Folder of this machine with one folder per model. Empty: the models of the images.",
    "PYTHON_IMAGE": "Base image of API and workers. To pin it, add its digest: python:3.11-slim@sha256:...",
    "REDIS_IMAGE": "Image of Redis, 6.2 or later; it can be pinned likewise.",
    "NGINX_IMAGE": "Image of the profile `proxy`; it can be pinned likewise.",
    "REDIS_MAXMEMORY": "What Redis may hold; beyond it submits are refused with 503.",
    "REDIS_MEMORY": "Bound of Redis' container: twice the above, for rewrites of its file.",
    "WORKER_CPUS": "Cores of a worker. It draws with one; no more than the machine has.",
    "WORKER_MEMORY": "Bound of a worker's container.",
}
"""Variables that docker-compose.yml alone reads."""

BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->\n"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One variable of one process."""

    process: str
    variable: str
    default: str
    bounds: str
    meaning: str


def settings() -> list[Setting]:
    """All, in the order of the classes."""
    return [
        Setting(
            process=process,
            variable=f"SPN_{name.upper()}",
            default=shown(info.default),
            bounds=bounds(info),
            meaning=str(info.description),
        )
        for process, kind in CLASSES.items()
        for name, info in kind.model_fields.items()
    ]


def shown(default: object) -> str:
    """As one would write it into the environment; nothing for unset."""
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return str(int(default))
    return str(default.relative_to(ROOT) if isinstance(default, Path) and default.is_absolute() else default)


def bounds(info: FieldInfo) -> str:
    """From least to most, where there are such."""
    least = [f"{each.ge}" for each in info.metadata if isinstance(each, Ge)]
    most = [f"{each.le}" for each in info.metadata if isinstance(each, Le)]
    return " to ".join(least + most)


def table() -> str:
    """All settings; what two processes have alike, once."""
    merged: dict[tuple[str, str, str, str], list[str]] = {}
    for each in settings():
        merged.setdefault((each.variable, each.default, each.bounds, each.meaning), []).append(each.process)
    rows = [
        f"| `{variable}` | {', '.join(of)} | {default and f'`{default}`'} | {limits} | {meaning} |"
        for (variable, default, limits, meaning), of in merged.items()
    ]
    return "\n".join(["| variable | of | default | bounds | meaning |", "|---|---|---|---|---|", *rows, ""])


def env_example() -> str:
    """Every variable that docker-compose.yml reads, its own first."""
    described = {each.variable: each for each in reversed(settings())}
    return "\n".join([HEAD, *(block(name, described.get(name)) for name in sorted_names(list(described)))])


def block(name: str, setting: Setting | None) -> str:
    """One variable with its meaning."""
    default = compose_defaults().get(name) or (setting.default if setting else "")
    return f"# {setting.meaning if setting else OF_COMPOSE[name]}\n#{name}={default}\n"


def sorted_names(known: list[str]) -> Iterator[str]:
    """Compose's own in the order above, then the settings in the order of the classes."""
    read = names_in_compose()
    yield from OF_COMPOSE
    yield from (name for name in reversed(known) if name in read)


def names_in_compose() -> set[str]:
    """All variables that docker-compose.yml takes from `.env` or the shell."""
    text = COMPOSE.read_text()
    return {*re.findall(r"\$\{(\w+)", text), *re.findall(r"^ +(SPN_\w+):$", text, re.MULTILINE)}


def compose_defaults() -> dict[str, str]:
    """What it takes without them, where it says so."""
    return dict(re.findall(r"\$\{(\w+):?-([^./}][^}]*)\}", COMPOSE.read_text()))


def main() -> None:
    """Write both."""
    ENV_EXAMPLE.write_text(env_example())
    before, _, rest = OPERATIONS.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    OPERATIONS.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    main()
