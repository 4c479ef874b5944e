"""A database that each question fills with the Vibes it needs, and that forgets them again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import asyncpg

INSERT = """
insert into refinery.vibes (ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal,
                            schema, schema_refs, content_digest, digest)
select r, split_part(split_part(r, '@', 2), '?', 1), array[split_part(r, '@', 1)],
       split_part(r, '?', 2)::integer,
       'RECORD', 'main@system/genesis?1', gen_random_uuid(), 1000, n - 1, s::jsonb, '{}',
       sha256('content'), sha256(convert_to(r, 'UTF8'))
from unnest($1::text[], $2::text[]) with ordinality as v (r, s, n)
"""


class Store:
    """A database of its own, in which each set of Vibes is forgotten again."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._url = url
        self._connection: asyncpg.Connection | None = None

    def ask(self, vibes: Mapping[str, Any], *questions: tuple[str, tuple[Any, ...]]) -> list[Any]:
        return self._runner.run(self._ask(vibes, questions))

    async def _ask(
        self, vibes: Mapping[str, Any], questions: tuple[tuple[str, tuple[Any, ...]], ...]
    ) -> list[Any]:
        if self._connection is None:
            self._connection = await asyncpg.connect(self._url)
        connection = self._connection
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute("set local session_replication_role = replica")
            schemas = [None if schema is None else json.dumps(schema) for schema in vibes.values()]
            await connection.execute(INSERT, list(vibes), schemas)
            return [await connection.fetchval(sql, *arguments) for sql, arguments in questions]
        finally:
            await transaction.rollback()

    def close(self) -> None:
        if self._connection is not None:
            self._runner.run(self._connection.close())
        self._runner.close()
