"""A database that each question fills with the Vibes it needs, and that forgets them again."""

from __future__ import annotations

import asyncio
import json
import re
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

TELL_USAGE = (
    "select set_config('client_min_messages', 'log', true), set_config('log_statement_stats', 'on', true)"
)
USAGE = re.compile(r"!\t([0-9.]+) s user, ([0-9.]+) s system").findall


class Store:
    """A database of its own, in which each set of Vibes is forgotten again."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._url = url
        self._connection: asyncpg.Connection | None = None

    def ask(self, vibes: Mapping[str, Any], *questions: tuple[str, tuple[Any, ...]]) -> list[Any]:
        return self._runner.run(self._ask(vibes, questions))

    def cpu(self, vibes: Mapping[str, Any], *question: Any) -> float:
        """The CPU seconds that the server takes for a question: the least of three times."""
        sql, *arguments = question
        return min(self._runner.run(self._cpu(vibes, (sql, tuple(arguments)))) for _ in range(3))

    async def _cpu(self, vibes: Mapping[str, Any], question: tuple[str, tuple[Any, ...]]) -> float:
        await self._ask({}, ())
        assert self._connection is not None
        spent: list[float] = []

        def note(_: object, message: asyncpg.PostgresLogMessage) -> None:
            spent.extend(float(user) + float(system) for user, system in USAGE(message.detail or ""))

        self._connection.add_log_listener(note)
        await self._ask(vibes, ((TELL_USAGE, ()), question))
        await asyncio.sleep(0)  # Listeners are called by the event loop.
        self._connection.remove_log_listener(note)
        return sum(spent)

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
