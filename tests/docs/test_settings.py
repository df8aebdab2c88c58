"""Settings, README and compose name the same variables."""

from pathlib import Path

from pydantic_settings import BaseSettings

from service.settings import ServiceSettings
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]


def rows(name: str, settings: type[BaseSettings]) -> list[str]:
    """The README's table rows of one process."""
    return [
        f"| `SPN_{field.upper()}` | `{shown(info.default)}` | {name} | {info.description} |"
        for field, info in settings.model_fields.items()
    ]


def shown(default: object) -> object:
    """Folders of this repository relative to it."""
    return default.relative_to(ROOT) if isinstance(default, Path) and default.is_absolute() else default


def test_the_readme_lists_every_setting_as_it_is() -> None:
    """Each variable with its default and meaning, from the code; `pytest -vv` prints the rows that are missing."""
    readme = (ROOT / "README.md").read_text().splitlines()
    wanted = [*rows("API", ServiceSettings), *rows("worker", WorkerSettings)]
    assert [row for row in wanted if row not in readme] == []
    assert [line for line in readme if line.startswith("| `SPN_") and line not in wanted] == []


def test_compose_sets_only_variables_that_exist() -> None:
    """No typing error in docker-compose.yml goes unnoticed."""
    known = {f"SPN_{field.upper()}" for s in (ServiceSettings, WorkerSettings) for field in s.model_fields}
    lines = (line.strip() for line in (ROOT / "docker-compose.yml").read_text().splitlines())
    used = {line.partition(":")[0] for line in lines if line.startswith("SPN_")}
    assert used
    assert used <= known
