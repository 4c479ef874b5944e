"""Checks processes and capabilities when they are refined."""

from __future__ import annotations

import asyncio
from typing import Final

import orjson

from refinery_core.errors import InvalidProcess, InvalidSchema
from refinery_core.process.checker import ProcessFault, read_capability, read_process
from refinery_core.process.interface import interface_problem
from refinery_core.vibe.model import VibeType

_READERS: Final = {VibeType.PROCESS: read_process, VibeType.CAPABILITY: read_capability}
_LARGE: Final = 16_384
"""From this many bytes on it takes long enough to keep others waiting."""


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
        _READERS[type_](orjson.loads(solution))
    except ProcessFault as fault:
        raise InvalidProcess(field=field, path=fault.path or "(root)", problem=fault.problem) from None
