"""What the schema of a process describes: `properties.input`, what it takes; `properties.result`."""

from __future__ import annotations

from typing import Any, Final

from refinery_core.vibe.refs import SCHEME

INPUT: Final = "input"
RESULT: Final = "result"


def interface_problem(schema: Any) -> str | None:
    """Why a schema cannot be that of a process; None if it can."""
    if _described(schema) & {INPUT, RESULT}:
        return None
    return "that of a process describes its input and its result, so it has 'properties' with either or both"


def schema_of(part: str, process_ref: str, schema: Any) -> Any:
    """The schema of the input or the result of a process, by reference; None where it describes none."""
    return {"$ref": f"{SCHEME}{process_ref}#/properties/{part}"} if part in _described(schema) else None


def _described(schema: Any) -> set[str]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return set(properties) if isinstance(properties, dict) else set()
