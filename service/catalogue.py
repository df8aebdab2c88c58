"""Catalogue of the models of this server, from their cards. Only workers read weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from models.cards import CARD, SHEET, ModelCard, load_named_card
from service.errors import FieldError


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Cards by name, and the name of the default model."""

    folder: Path
    cards: dict[str, ModelCard]
    default: str

    @classmethod
    def read(cls, folder: Path, default: str) -> Self:
        """Return the models in `folder`. Raises CheckpointError for a damaged or misnamed card, or a missing default."""
        names = sorted(path.parent.name for path in folder.glob(f"*/{CARD}"))
        cards = {name: load_named_card(folder / name) for name in names}
        return cls(folder=folder, cards={default: load_named_card(folder / default), **cards}, default=default)

    def card(self, name: str | None) -> ModelCard:
        """Return the card of a model, of the default model for None. Raises FieldError."""
        if (card := self.cards.get(self.default if name is None else name)) is None:
            msg = f"there is no model {name!r}; this server has: {', '.join(self.cards)}"
            raise FieldError("model", msg)
        return card

    def installed_at(self, name: str) -> int:
        """Return when the card of a model was written here, in seconds since 1970."""
        return int((self.folder / name / CARD).stat().st_mtime)

    def sheet(self, name: str) -> Path | None:
        """Return the sample sheet of a model, if it has one."""
        path = self.folder / name / SHEET
        return path if name in self.cards and path.is_file() else None
