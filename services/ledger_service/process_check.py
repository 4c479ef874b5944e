"""Checks processes and capabilities when they are refined."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy
from functools import reduce
from typing import Any, Final

import orjson

from refinery_core.errors import InvalidProcess, InvalidSchema
from refinery_core.process.checker import ProcessFault, read_capability, read_process
from refinery_core.process.interface import interface_problem
from refinery_core.process.model import Capability, Process
from refinery_core.process.parts import Schema
from refinery_core.schema.validator import compile_schema
from refinery_core.vibe import pointers
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.references import ORIGINAL, REF, RESOLVED, SchemaFault, read_schema

_READERS: Final[dict[VibeType, Callable[[Any], Process | Capability]]] = {
    VibeType.PROCESS: read_process,
    VibeType.CAPABILITY: read_capability,
}
_LARGE: Final = 16_384
"""Larger documents are checked beside the event loop."""


async def check_process(type_: VibeType, solution: str | None, field: str) -> None:
    """
    Refuse a solution that could not be carried out; other types, and drafts without solution, pass.

    Raises:
        InvalidProcess: the checker refuses it.
    """
    if solution is None or type_ not in _READERS:
        return
    if len(solution) < _LARGE:
        _check(type_, solution, field)
    else:
        await asyncio.to_thread(_check, type_, solution, field)


def check_interface(schema: str, field: str) -> None:
    """
    Refuse the schema of a process that describes neither its input nor its result.

    Raises:
        InvalidSchema: it does not.
    """
    if (problem := interface_problem(orjson.loads(schema))) is not None:
        raise InvalidSchema(field=field, path="(root)", problem=problem)


def _check(type_: VibeType, solution: str, field: str) -> None:
    try:
        for schema in _READERS[type_](orjson.loads(solution)).schemas:
            if schema.reference is None:
                _check_schema(schema)
    except ProcessFault as fault:
        raise InvalidProcess(
            field=field, kind=type_.value.lower(), path=fault.path or "(root)", problem=fault.problem
        ) from None


def _check_schema(schema: Schema) -> None:
    """An inline schema has to be one; the Vibes that it refers to were checked when they were refined."""
    try:
        compile_schema(_alone(schema.document))
    except SchemaFault as fault:
        raise ProcessFault(schema.pointer + fault.path, f"this is no JSON Schema: {fault.problem}") from None


def _alone(document: Any) -> Any:
    """The schema without its references to other Vibes."""
    copy = deepcopy(document)
    for reference in read_schema(document).references:
        place = reduce(pointers.step, pointers.read(reference.pointer), copy)
        for name in (REF, ORIGINAL, RESOLVED):
            place.pop(name, None)
    return copy
