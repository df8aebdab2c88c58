"""One word means one thing: no two classes and no two modules share a name. Docstrings are short."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("models", "service", "worker", "training", "research", "benchmarks")
CODE = (*PRODUCT, "tests/harness")
CONVENTIONS = {"__init__", "__main__", "errors", "settings", "main"}
"""Modules that each package may have: the language or the layout names them."""

NAMED_BY_PLACE = ("service/api/routes/", "benchmarks/", "research/evidence/")
"""Folders of routes, named by their resource, and of commands, named by what they measure: no class is imported from them
under another package's word."""

LONGEST_SENTENCE = 30
"""Words."""


@cache
def trees() -> dict[Path, ast.Module]:
    """Return the syntax tree of each module of the product, by its path from the root."""
    paths = sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT): ast.parse(path.read_text()) for path in paths}


def shared(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the names that stand for more than one thing, each with all of them."""
    found = defaultdict[str, list[str]](list)
    for name, thing in named:
        found[name].append(thing)
    return {name: things for name, things in found.items() if len(things) > 1}


def test_no_two_classes_have_one_name() -> None:
    """In all packages together: who reads a name need not ask of which package."""
    classes = [
        (node.name, f"{path}:{node.lineno}")
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    assert shared(classes) == {}


def test_no_two_modules_have_one_name() -> None:
    """Apart from those that the layout names."""
    modules = [
        (path.stem, str(path))
        for path in trees()
        if path.stem not in CONVENTIONS and not str(path).startswith(NAMED_BY_PLACE)
    ]
    assert shared(modules) == {}


def docstrings() -> Iterator[tuple[str, str]]:
    """Yield each docstring, those of values among them, with its place."""
    for path, tree in trees().items():
        for node in ast.walk(tree):
            for statement in getattr(node, "body", ()) if not isinstance(node, ast.Lambda | ast.IfExp) else ():
                value = statement.value if isinstance(statement, ast.Expr) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield f"{path}:{value.lineno}", value.value


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a docstring. A paragraph, an entry of a list or tree, and an indented block end one."""
    for block in re.split(r"\n\s*\n|\n\s*(?=[-*•├└│] ?|\d+\. )|\n\s{6,}", text):
        yield from re.split(r"(?<=[.!?])\s+", " ".join(block.split()))


def long_sentences(folder: str) -> list[str]:
    """Return the sentences over the limit with their lengths and places."""
    return [
        f"{place}: {len(sentence.split())} words: {sentence}"
        for place, text in docstrings()
        if place.startswith(f"{folder}/")
        for sentence in sentences(text)
        if len(sentence.split()) > LONGEST_SENTENCE
    ]


@pytest.mark.parametrize("folder", CODE)
def test_no_sentence_of_a_docstring_is_long(folder: str) -> None:
    """Most have no more than 25 words; 30 is the limit, without exceptions."""
    assert long_sentences(folder) == []


@pytest.mark.parametrize(
    ("text", "count"), [("One two. Three?", 2), ("One:\n\n- two\n- three", 3), ("One two\nthree.", 1)]
)
def test_sentences_are_told_apart(text: str, count: int) -> None:
    """By their ends, paragraphs and list entries."""
    assert len([each for each in sentences(text) if each]) == count
