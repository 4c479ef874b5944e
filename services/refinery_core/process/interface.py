"""The schema of a process: `properties.input` describes its input, `properties.result` its result."""

from __future__ import annotations

from typing import Any, Final

from refinery_core.vibe.refs import SCHEME

INPUT: Final = "input"
RESULT: Final = "result"


def interface_problem(schema: Any) -> str | None:
    """The reason why a schema cannot be that of a process; None if it can."""
    if _described(schema) & {INPUT, RESULT}:
        return None
    return "that of a process describes its input and its result, so it has 'properties' with either or both"


def schema_of(part: str, process_ref: str, schema: Any) -> Any:
    """A reference to the schema of the input or the result of a process; None where there is none."""
    return {"$ref": f"{SCHEME}{process_ref}#/properties/{part}"} if part in _described(schema) else None


def _described(schema: Any) -> set[str]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return set(properties) if isinstance(properties, dict) else set()
