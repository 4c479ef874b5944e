"""Reads a request file: a RefineRequest as people write it, with documents as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from refinery_cli.read.documents import value_of
from refinery_cli.show.failures import Usage
from refinery_client.drafts import ABSENT, Draft, Refine
from refinery_core.vibe.model import VibeType

Reader = Callable[[Any], Any]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a string is expected")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("a list is expected")
    return [_text(item) for item in value]


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false is expected")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise TypeError("a whole number is expected")
    return value


def _type(value: Any) -> VibeType:
    name = _text(value).upper().removeprefix("VIBE_TYPE_")
    if name not in VibeType.__members__:
        raise TypeError(f"one of {', '.join(VibeType)} is expected")
    return VibeType(name)


def _uuid(value: Any) -> UUID:
    try:
        return UUID(_text(value))
    except ValueError:
        raise TypeError("a UUID is expected") from None


def _document(value: Any) -> Any:
    return value


def _drafts(value: Any) -> list[Draft]:
    if not isinstance(value, list) or not value:
        raise TypeError("a list of drafts is expected")
    drafts = []
    for at, item in enumerate(value):
        fields = _fields(item, _DRAFT, f"drafts[{at}]")
        for name in ("type", "id"):
            if name not in fields:
                raise Usage(f"drafts[{at}].{name} is missing.")
        drafts.append(Draft(**fields))
    return drafts


_DRAFT: Mapping[str, Reader] = {
    "type": _type,
    "id": _text,
    "branches": _texts,
    "expected_revision": _whole,
    "prototype_ref": _text,
    "repin": _truth,
    "context": _document,
    "schema": _document,
    "solution": _document,
}
_REQUEST: Mapping[str, Reader] = {
    "request_id": _uuid,
    "branch": _text,
    "author_ref": _text,
    "target_refs": _texts,
    "instruction_refs": _texts,
    "budget_refs": _texts,
    "drafts": _drafts,
    "validate_only": _truth,
}


def read_request(file: Path) -> Refine:
    """
    Read a request; an author that it does not name is empty.

    Raises:
        Usage: A field is wrong; the message names it.
    """
    fields = _fields(value_of(file), _REQUEST, "")
    if "drafts" not in fields:
        raise Usage("The request has no drafts.")
    return Refine(**{"author_ref": "", **fields})


def _fields(value: Any, readers: Mapping[str, Reader], at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Usage(f"{at or 'The request'} is not an object with fields.")
    fields = {}
    for name, part in value.items():
        place = f"{at}.{name}" if at else str(name)
        if name not in readers:
            raise Usage(f"{place} is not a field of a request; the fields are {', '.join(readers)}.")
        try:
            fields[name] = readers[name](part)
        except TypeError as fault:
            raise Usage(f"{place}: {fault}.") from None
    return {name: part for name, part in fields.items() if part is not ABSENT}
