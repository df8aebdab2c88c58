"""API keys. `python -m service.api_keys NAME` makes one: the key for its holder, and its hash for SPN_KEYS.

Only hashes are configured. A key is 256 random bits, so a plain sha256 of it cannot be turned around.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import secrets
import sys
from dataclasses import dataclass
from typing import Any

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class KeyHash:
    """One key that is let in. `name` owns the jobs made with it; two keys of one name are one owner.

    `weight`: the owner's share of the workers, relative to other owners whose jobs wait.
    """

    name: str
    sha256: str
    weight: int = 1


def sha256_of(key: str) -> str:
    """What is configured of a key: 64 hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_hashes(setting: Any) -> tuple[KeyHash, ...]:  # noqa: ANN401 - whatever the environment holds
    """The value of SPN_KEYS: `name:hash,name:hash:weight`, or a JSON object of the same. Raises ValueError."""
    if not isinstance(setting, str):
        return tuple(setting)
    hashes = tuple(key_hash(name, value) for name, value in pairs(setting.strip()))
    if len({each.sha256 for each in hashes}) < len(hashes):
        raise ValueError("the same hash stands there twice")
    if len({(each.name, each.weight) for each in hashes}) > len({each.name for each in hashes}):
        raise ValueError("keys of one name are one owner: expected the same weight for all of them")
    return hashes


def pairs(setting: str) -> list[tuple[str, str]]:
    """Names and hashes, unchecked. Raises ValueError for JSON that is no object of strings."""
    if not setting.startswith("{"):
        parts = (part.partition(":") for part in setting.split(",") if part.strip())
        return [(name.strip(), sha256.strip()) for name, _, sha256 in parts]
    try:
        found: dict[str, Any] = json.loads(setting)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error}") from None
    return [(name, str(sha256)) for name, sha256 in found.items()]


def key_hash(name: str, value: str) -> KeyHash:
    """The key of a name and `hash` or `hash:weight`. Raises ValueError, without repeating what may be a key."""
    sha256, _, weight = (part.strip() for part in value.partition(":"))
    if not NAME.fullmatch(name) or not sha256:
        raise ValueError("expected name:hash,name:hash with names of 1 to 64 letters, digits, `_`, `.` or `-`")
    if not SHA256.fullmatch(sha256.lower()):
        raise ValueError(f"{name}: expected the sha256 of a key, 64 hexadecimal digits; see python -m service.api_keys")
    if not re.fullmatch(r"|[1-9][0-9]?|100", weight):
        raise ValueError(f"{name}: expected a weight of 1 to 100 after the hash")
    return KeyHash(name=name, sha256=sha256.lower(), weight=int(weight or 1))


def main() -> int:
    """Print a new key, once, and what to configure."""
    parser = argparse.ArgumentParser(prog="python -m service.api_keys", description="Make an API key.")
    parser.add_argument("name", help="who it is for; owns the jobs made with it")
    name = parser.parse_args().name
    if not NAME.fullmatch(name):
        parser.error("a name has 1 to 64 letters, digits, `_`, `.` or `-`")
    key = f"spn_{secrets.token_urlsafe(32)}"
    print(f"key, shown only now: {key}\nadd to SPN_KEYS:     {name}:{sha256_of(key)}")  # noqa: T201 - this is a command
    print(f"its webhook secret:  python -m service.webhooks {name}")  # noqa: T201 - likewise
    return 0


if __name__ == "__main__":
    sys.exit(main())
