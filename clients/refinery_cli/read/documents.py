"""Reads documents: inline, from a file or from standard input, as JSON or as YAML 1.2."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from refinery_cli.read.yaml import check_size, read_yaml
from refinery_cli.show.failures import Usage
from refinery_client.drafts import ABSENT, JsonText
from refinery_core.vibe.documents import DocumentFault, parse

STDIN = "-"


def document_of(text: str | None, option: str) -> Any:
    """
    A document from inline JSON, `@file`, or `-` for standard input; ABSENT if none was given.

    JSON is passed on as text, so that the server sees every number as it was written.

    Raises:
        Usage: It cannot be read.
    """
    if text is None:
        return ABSENT
    if text == STDIN:
        return _document(_stdin(), "standard input", is_yaml=None)
    if text.startswith("@"):
        path = Path(text[1:])
        return _document(read_file(path), str(path), is_yaml=_is_yaml(path))
    try:
        json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise Usage(
            f"{option} is not JSON ({_problem(fault)}); a file is given as @FILE, a string as '\"text\"'."
        ) from None
    return JsonText(text)


def value_of(path: Path) -> Any:
    """
    The value in a JSON or YAML file, `-` for standard input. Numbers that a double cannot hold are refused.

    Raises:
        Usage: It cannot be read.
    """
    if str(path) == STDIN:
        return _value(_stdin(), "standard input", is_yaml=None)
    return _value(read_file(path), str(path), is_yaml=_is_yaml(path))


def read_file(path: Path) -> str:
    """The text of a file."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as fault:
        raise Usage(f"{path} cannot be read: {fault.strerror}.") from None
    except UnicodeDecodeError:
        raise Usage(f"{path} is not UTF-8.") from None


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise Usage("Standard input is not UTF-8.") from None


def _is_yaml(path: Path) -> bool | None:
    """Whether the name says JSON or YAML; None if it says neither."""
    return {".yaml": True, ".yml": True, ".json": False}.get(path.suffix.lower())


def _document(text: str, source: str, *, is_yaml: bool | None) -> Any:
    if is_yaml or (is_yaml is None and not _is_json(text)):
        return read_yaml(text, source)
    return JsonText(text)


def _value(text: str, source: str, *, is_yaml: bool | None) -> Any:
    if is_yaml or (is_yaml is None and not _is_json(text)):
        return read_yaml(text, source)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=_number, parse_int=_number)
    except (ValueError, RecursionError) as fault:
        raise Usage(f"{source} is not JSON: {_problem(fault)}.") from None
    check_size(value, source)
    return value


def _is_json(text: str) -> bool:
    # What begins like a JSON object or array is judged as JSON: its message is the better one.
    if text.lstrip()[:1] in {"{", "["}:
        return True
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key '{next(key for key in keys if keys.count(key) > 1)}' occurs twice")
    return value


def _number(literal: str) -> Any:
    return parse(literal).value


def _problem(fault: Exception) -> str:
    if isinstance(fault, DocumentFault):
        return fault.problem
    return "it is nested too deeply" if isinstance(fault, RecursionError) else str(fault)
