"""Fills a ledger with the same RECORDs as refine() would write, digests and chain included, but faster."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from refinery_core.vibe import digests

AUTHOR = "main@system/genesis?1"
AT_ONCE = 20_000
_SOLUTION = f'{{"text":"{"x" * 186}"}}'
_CONTENT = digests.content_digest(None, None, _SOLUTION)
_REFINEMENTS = ("id", "position", "request_id", "request_digest", "principal", "time", "author_ref",
                "target_refs", "instruction_refs", "budget_refs", "chain")  # fmt: skip
_VIBES = ("ref", "id", "branches", "revision", "type", "author_ref", "refinement_id", "position", "ordinal",
          "solution", "content_digest", "digest")  # fmt: skip

Row = tuple[Any, ...]


async def populate(connection: asyncpg.Connection, until: int) -> None:
    """Add one RECORD of 200 bytes at each position from the end of the ledger on."""
    author: bytes = await connection.fetchval("select digest from refinery.vibes where ref = $1", AUTHOR)
    last, chain = await connection.fetchrow(
        "select position, chain from refinery.refinements order by position desc limit 1"
    )
    for first in range(last + 1, until + 1, AT_ONCE):
        rows = list(_made(range(first, min(first + AT_ONCE, until + 1)), chain, author))
        chain = rows[-1][0][-1]
        async with connection.transaction():
            for table, columns, records in (
                ("refinements", _REFINEMENTS, [row for row, _ in rows]),
                ("vibes", _VIBES, [row for _, row in rows]),
            ):
                await connection.copy_records_to_table(
                    table, schema_name="refinery", columns=columns, records=records
                )


def _made(positions: range, chain: bytes, author: bytes) -> Iterator[tuple[Row, Row]]:
    """Each refinement and its Vibe."""
    for position in positions:
        request, time, id_ = uuid4(), datetime.now(UTC), f"fill/{position}"
        refinement, ref = digests.refinement_id(request), f"main@{id_}?1"
        digest = _digest(ref, author)
        chain = _chain(chain, position, time, request, digest)
        yield (
            (refinement, position, request, _CONTENT, "anonymous", time, AUTHOR, [], [], [], chain),
            (ref, id_, ["main"], 1, "RECORD", AUTHOR, refinement, position, 0, _SOLUTION, _CONTENT, digest),
        )


def _digest(ref: str, author: bytes) -> bytes:
    return digests.vibe_digest(
        type="RECORD",
        ref=ref,
        branches=["main"],
        author_ref=AUTHOR,
        prototype_ref=None,
        target_refs=[],
        instruction_refs=[],
        budget_refs=[],
        content_digest=_CONTENT,
        referred={AUTHOR: author},
    )


def _chain(previous: bytes, position: int, time: datetime, request: UUID, digest: bytes) -> bytes:
    return digests.chain(
        previous=previous,
        position=position,
        time_us=digests.time_us(time),
        principal="anonymous",
        request_id=request,
        request_digest=_CONTENT,
        digests=[digest],
    )
