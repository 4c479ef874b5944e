"""Applies SQL files: state once, and code so that nothing but what files define stands in the schema."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import asyncpg
import orjson

from refinery_core.postgres.in_force import Object, standing
from refinery_core.postgres.queries import QUERIES
from refinery_core.postgres.release import Release, Script
from refinery_core.settings import CannotStart

_NOT_THERE_YET: Final = (
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedObjectError,
)
_STILL_NEEDED: Final = (asyncpg.DependentObjectsStillExistError,)


def fetching(connection: asyncpg.Connection) -> Callable[[str], Awaitable[Sequence[Any]]]:
    """Run named queries on a connection of our own."""

    async def fetch(query: str) -> Sequence[Any]:
        rows: Sequence[Any] = await connection.fetch(QUERIES[query])
        return rows

    return fetch


async def apply_once(connection: asyncpg.Connection, script: Script) -> None:
    """Apply a migration or a seed, in one transaction with the note that it was."""
    async with connection.transaction():
        before = await standing(fetching(connection))
        await _execute(connection, script)
        made = _made(before, await standing(fetching(connection)))
        await connection.execute(
            "insert into refinery.schema_migrations (name, sha256, defines) values ($1, $2, $3)",
            script.name,
            script.sha256,
            sorted(made),
        )


async def apply_code(connection: asyncpg.Connection, release: Release) -> list[str]:
    """
    Apply all code in one transaction, drop what no file defines, and list both.

    Raises:
        CannotStart: something outside of the schema needs what would be dropped.
        asyncpg.PostgresError: a script failed. In both cases nothing has changed.
    """
    async with connection.transaction():
        # Calls wait for as long as this waits, and are answered if it gives up in time.
        await connection.execute("set local lock_timeout = '5s'")
        before = await standing(fetching(connection))
        await _in_any_order(connection, release.code, _NOT_THERE_YET)
        after = await standing(fetching(connection))
        rows = await connection.fetch("select unnest(defines) as object from refinery.schema_migrations")
        left_over = after.keys() - _made(before, after) - {row["object"] for row in rows}
        await _drop(connection, sorted(left_over))
        for script in release.privileges:
            await _execute(connection, script)
        await connection.execute(
            "insert into refinery.schema_code "
            "(sha256, release, contract, oldest_contract, objects, postgres) values "
            "($1, $2, $3, $4, $5, current_setting('server_version_num')::integer / 10000)",
            release.sha256,
            release.number,
            release.contract,
            release.oldest_contract,
            orjson.dumps({name: after[name].sha256 for name in after.keys() - left_over}).decode(),
        )
    return [
        *(script.name for script in (*release.code, *release.privileges)),
        *(f"dropped {name}" for name in sorted(left_over)),
    ]


def _made(before: Mapping[str, Object], after: Mapping[str, Object]) -> set[str]:
    """The objects made in between, or made again as they were."""
    return {name for name, each in after.items() if name not in before or before[name].stamp != each.stamp}


async def _drop(connection: asyncpg.Connection, objects: Sequence[str]) -> None:
    try:
        await _in_any_order(connection, [Script(name, f"drop {name}") for name in objects], _STILL_NEEDED)
    except asyncpg.DependentObjectsStillExistError as fault:
        needs = str(fault.detail).partition("\n")[0].rstrip(".")
        raise CannotStart(
            f"No file of this version defines something that is needed elsewhere: {needs}. Drop what needs "
            "it, or keep it in a schema of your own, and migrate again."
        ) from fault


async def _in_any_order(
    connection: asyncpg.Connection,
    scripts: Sequence[Script],
    too_early: tuple[type[asyncpg.PostgresError], ...],
) -> None:
    """Scripts are in the order of their names; one that needs a later one is tried again after it."""
    while scripts:
        early: list[Script] = []
        fault: asyncpg.PostgresError | None = None
        for script in scripts:
            try:
                async with connection.transaction():
                    await _execute(connection, script)
            except too_early as missing:
                early.append(script)
                fault = fault or missing
        if fault and len(early) == len(scripts):
            raise fault
        scripts = early


async def _execute(connection: asyncpg.Connection, script: Script) -> None:
    try:
        await connection.execute(script.sql)
    except asyncpg.PostgresError as fault:
        fault.add_note(script.name)
        raise
