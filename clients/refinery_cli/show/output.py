"""Output of the command: tables for people, JSON for programs, colours only on a terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import orjson
from rich.console import Console
from rich.json import JSON
from rich.text import Text

T = TypeVar("T")

Form = Literal["text", "json", "jsonl"]
Columns = Mapping[str, Callable[[T], object]]

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_WIDE = 100_000
"""The width of a pipe, in columns: rich cuts a tree that does not fit, even if it may wrap."""
_CONTROL_IN_JSON = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: object) -> str:
    """A text without control characters that a terminal would execute; line ends stay."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), str(text))


def json_text(value: Any, *, pretty: bool) -> str:
    """A JSON document, on one line or on many."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if pretty else 0).decode()
    return _CONTROL_IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def console() -> Console:
    """Standard output; made for each use, because tests and pipes replace it."""
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False, emoji=False)
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=_WIDE)


def say(line: str = "") -> None:
    """Print a line."""
    sys.stdout.write(f"{printable(line)}\n")


def print_document(value: Any) -> None:
    """Print one JSON document for reading."""
    text = json_text(value, pretty=True)
    if sys.stdout.isatty():
        console().print(JSON(text, indent=2, ensure_ascii=False))
    else:
        sys.stdout.write(f"{text}\n")


def print_json(value: Any, form: Form) -> None:
    """Print one document for a program."""
    sys.stdout.write(f"{json_text(value, pretty=form == 'json')}\n")


def print_done(form: Form, sentence: str, **facts: str) -> None:
    """Print that something was done: a sentence for people, an object for programs."""
    if form == "text":
        say(sentence)
    else:
        print_json(facts, form)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print the facts about one thing, a line each; None and empty ones are left out."""
    known = {name: fact for name, fact in facts.items() if fact not in (None, "", ())}
    width = max(map(len, known), default=0)
    for name, fact in known.items():
        say(f"{name:<{width}}  {fact}")


def print_table(columns: Columns[T], items: Iterable[T]) -> None:
    """Print a table. A terminal may wrap its lines, but nothing is cut: every ref can be copied."""
    rows = [[printable(cell(item)).replace("\n", "\\n") for cell in columns.values()] for item in items]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    screen, style = console(), "bold"
    for row in [list(columns), *rows]:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        screen.print(Text("  ".join(cells).rstrip(), style=style), soft_wrap=True)
        style = ""


def print_all(form: Form, columns: Columns[T], items: Sequence[T], write: Callable[[T], Any]) -> None:
    """Print a list in the form asked for; `write` makes a JSON value of an item."""
    if form == "text":
        print_table(columns, items)
    elif form == "json":
        print_json([write(item) for item in items], form)
    else:
        for item in items:
            print_json(write(item), form)


async def print_stream(
    form: Form,
    columns: Columns[T],
    items: AsyncIterator[T],
    write: Callable[[T], Any],
    *,
    limit: int = 0,
) -> bool:
    """Print a list as it arrives; return whether `limit` (0 is none) cut it."""
    kept: list[T] = []
    count = 0
    async for item in items:
        if limit and count == limit:
            print_all(form, columns, kept, write)
            return True
        count += 1
        if form == "jsonl":
            print_json(write(item), form)
            sys.stdout.flush()
        else:
            kept.append(item)
    if form != "jsonl":
        print_all(form, columns, kept, write)
    return False
