"""Settings from the environment. A setting that is not accepted ends the process with one line, the same in every process."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, get_args

from annotated_types import Ge, Le
from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings
from redis import ConnectionPool
from redis.exceptions import RedisError

from models.cards import CARD

INVALID = 2
"""The exit status for a setting that is not accepted."""

SCHEMES = ("redis", "rediss", "unix")

Settings = TypeVar("Settings", bound=BaseSettings)


def read_settings(kind: type[Settings]) -> Settings:
    """Return the settings of the environment. Exits with status 2, after a line for each one that is not accepted."""
    try:
        return kind()
    except ValidationError as error:
        refuse(explained(kind, error))


def require_model(models: Path, model: str) -> None:
    """Exit with status 2, after a line, unless the folder SPN_MODELS exists and has SPN_MODEL."""
    try:
        exists, has_card = models.is_dir(), (models / model / CARD).exists()
    except PermissionError:
        return  # reading the card fails with a message about it
    if not exists:
        refuse([f"SPN_MODELS={str(models)!r} is not accepted: expected a folder that has one folder for each model"])
    if not has_card:
        names = sorted(path.parent.name for path in models.glob(f"*/{CARD}"))
        expected = " or ".join(names) or f"a folder with a {CARD}, and there is none"
        refuse([f"SPN_MODEL={model!r} is not accepted: expected {expected}, in SPN_MODELS={str(models)!r}"])


def refuse(lines: Iterable[str]) -> NoReturn:
    """Print the lines and exit with status 2."""
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - the log is not configured yet
    sys.exit(INVALID)


def explained(kind: type[BaseSettings], error: ValidationError) -> list[str]:
    """Return a line for each setting that is not accepted: its name, its value, and what is accepted."""
    lines, prefix = [], kind.model_config.get("env_prefix", "")
    for each in error.errors():
        if not each["loc"]:  # of several settings together: the message names them
            lines.append(message(each))
            continue
        name = str(each["loc"][0])
        info = kind.model_fields[name]
        variable = f"{prefix}{name}".upper()
        lines.append(f"{variable}={shown(info, each['input'])} is not accepted: {accepted(info, each)}")
    return lines


def message(error: Mapping[str, Any]) -> str:
    """Return the text of a validator's ValueError, or pydantic's own."""
    return str(error["msg"]).removeprefix("Value error, ")


def shown(info: FieldInfo, value: object) -> str:
    """Return a value as it may be shown: no secret, and no password of a URL."""
    if not info.repr or SecretStr in types(info.annotation):
        return "(hidden)"
    masked = re.sub(r"^(.*://)?.*@", r"\1***@", str(value))
    return repr(re.sub(r"(password=)[^&]*", r"\1***", masked))


def accepted(info: FieldInfo, error: Mapping[str, Any]) -> str:
    """Return what a setting accepts: a number and its bounds, the names of an enum, or the words of its validator."""
    if error["type"] == "value_error":
        return message(error)
    least = next((each.ge for each in info.metadata if isinstance(each, Ge)), None)
    most = next((each.le for each in info.metadata if isinstance(each, Le)), None)
    for kind in types(info.annotation):
        if kind in {int, float}:
            return f"expected {'an integer' if kind is int else 'a number'} from {least} to {most}"
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return f"expected {' or '.join(kind)}"
        if kind is bool:
            return "expected 1 or 0"
    return message(error)


def types(annotation: object) -> set[Any]:
    """Return the types that an annotation names, at any depth."""
    return {annotation}.union(*(types(each) for each in get_args(annotation)))


def redis_url(value: str) -> str:
    """Return `value`, if a client can be made from it. Raises ValueError."""
    scheme, _, rest = value.partition("://")
    if "sentinel" in scheme:
        raise ValueError("expected the primary's URL, redis://HOST:PORT/0: Redis Sentinel is not supported")
    if not rest or scheme not in SCHEMES:
        raise ValueError("expected redis://HOST:PORT/0, rediss://HOST:PORT/0 for TLS, or unix://PATH")
    try:
        ConnectionPool.from_url(value).make_connection()
    except (ValueError, TypeError, RedisError):
        raise ValueError(
            "the port, the database or an option of the URL is wrong; expected redis://HOST:PORT/0"
        ) from None
    path = re.fullmatch(r"[^/?]*/?(\d*)(\?.*)?", rest)
    if scheme != "unix" and not path:
        raise ValueError("the database is no number; expected redis://HOST:PORT/0")
    return value


RedisUrl = Annotated[str, AfterValidator(redis_url)]
"""The URL of one Redis server."""
