"""The rules of CONTRIBUTING.md on words that a program can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def files(*patterns: str) -> list[str]:
    """The names of the files to check."""
    return [str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)]


FOLDERS = ("services", "clients", "tests", "benchmarks", "demo")
CODE = files(*(f"{folder}/**/*.py" for folder in FOLDERS))
PAGES = files("*.md", "docs/**/*.md")

_RELATIVE = re.compile(r"(What|Who|Whose|Whom|Where|How|Why|Whatever|Whoever|Wherever)\b")
_CODE_OR_ASIDE = re.compile(r"`[^`]*`|\([^()]*\)")
_NEXT_SENTENCE = re.compile(r"\w[*\"”\])]*[.!?][*\"”)]* +\S")


def explained(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every docstring and every help of an option, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(ast.Constant(str(text))):
                yield node.lineno, text.strip()
            case ast.keyword("help", ast.Constant(str(text))):
                yield node.value.lineno, text


def prose(page: str) -> Iterator[tuple[int, str]]:
    """The lines of a page outside code, tables and headings, with their numbers."""
    in_code = False
    for number, line in enumerate(page.splitlines(), 1):
        in_code ^= line.lstrip().startswith("```")
        if not in_code and not line.startswith(("|", "#", "    ")):
            yield number, line


def test_docstrings_and_help_begin_with_the_thing() -> None:
    assert [
        f"{name}:{line}: {text}"
        for name in CODE
        for line, text in explained(ast.parse((ROOT / name).read_text()))
        if _RELATIVE.match(text)
    ] == []


def test_pages_have_one_sentence_a_line() -> None:
    assert [
        f"{name}:{number}: {line}"
        for name in PAGES
        for number, line in prose((ROOT / name).read_text())
        if _NEXT_SENTENCE.search(re.sub(r"^ *(-|\d+\.) ", "", _CODE_OR_ASIDE.sub("x", line)))
    ] == []
