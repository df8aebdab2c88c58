"""An ended job as an object: what Redis had of it, so that the same decoders read both."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import TypeAdapter

from service.contract.record import UnreadableRecordError
from service.contract.statuses import EventKind, Status
from service.jobs.event_reader import position

VERSION: Literal[1] = 1
BINARY = b"data"
"""Field of a stream entry that is no text."""

SECRET = b"token"
"""Field of a record that is not stored."""

Entry = tuple[bytes, Mapping[bytes, bytes]]
"""Entry of a stream as XRANGE returns it: its id and its fields."""


@dataclass(frozen=True, kw_only=True)
class StoredJob:
    """Record and stream of a job that has ended."""

    fields: Mapping[bytes, bytes]
    entries: Sequence[Entry]

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes], entries: Sequence[Entry], *, now: int) -> Self:
        """Return the job as it is after its end. A complete one succeeds as soon as it is stored (`transitions.lua`), and
        its retention begins `now`, in ms by Redis' clock. Raises UnreadableRecordError.
        """
        kept = {name: value for name, value in fields.items() if name != SECRET}
        try:
            if Status(fields[b"status"].decode()).final:
                return cls(fields=kept, entries=entries)
            final_id = fields[b"final_id"]
            ended = {
                b"status": Status.SUCCEEDED.encode(),
                b"finished_at": fields[b"completed_at"],
                b"expires_at": b"%d" % (now + int(fields[b"retention_ms"])),
                b"last_id": final_id,
            }
        except (LookupError, ValueError) as error:
            raise UnreadableRecordError(f"the job has not ended: {error}") from error
        return cls(fields=kept | ended, entries=[*entries, (final_id, {b"event": EventKind.SUCCEEDED.encode()})])

    @property
    def model(self) -> str:
        """Return the name of the job's model."""
        return str(json.loads(self.fields[b"request"])["model"])

    @property
    def expires_at(self) -> int:
        """Return when its retention ends, in ms by Redis' clock."""
        return int(self.fields[b"expires_at"])

    def between(self, after: str, until: str) -> list[Entry]:
        """Return the entries between two ids, without `after` and with `until`; "-" and "+" are the ends of the stream."""
        first = (0, 0) if after == "-" else position(after)
        last = (2**64, 0) if until == "+" else position(until)
        return [entry for entry in self.entries if first < position(entry[0].decode()) <= last]

    def to_bytes(self) -> bytes:
        """Return the object: JSON, compressed by gzip."""
        body = _Body(
            version=VERSION,
            record=_texts(self.fields),
            events=[(key.decode(), _texts(fields)) for key, fields in self.entries],
        )
        return gzip.compress(_BODY.dump_json(body), mtime=0)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read an object. Raises UnreadableRecordError for one that is damaged, or of a newer release."""
        try:
            body = _BODY.validate_json(gzip.decompress(content))
            return cls(
                fields=_values(body.record),
                entries=[(key.encode(), _values(fields)) for key, fields in body.events],
            )
        except (ValueError, EOFError, OSError, zlib.error) as error:
            raise UnreadableRecordError(f"the object cannot be decoded: {error}") from error


@dataclass(frozen=True, kw_only=True)
class _Body:
    version: Literal[1]
    record: dict[str, str]
    events: list[tuple[str, dict[str, str]]]


_BODY = TypeAdapter(_Body)


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        name.decode(): base64.b64encode(value).decode() if name == BINARY else value.decode()
        for name, value in fields.items()
    }


def _values(texts: Mapping[str, str]) -> dict[bytes, bytes]:
    fields = {name.encode(): text.encode() for name, text in texts.items()}
    return {name: base64.b64decode(text) if name == BINARY else text for name, text in fields.items()}
