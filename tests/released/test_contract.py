"""The SQL code of today serves the programs of the last release, whose queries and requests are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from refinery_core.postgres.migrate import migrate
from refinery_core.postgres.queries import load
from refinery_core.postgres.release import THIS
from tests.conftest import Database
from tests.released.recording import OUTCOMES, lasting
from tests.released.stored import Released


def queries(released: Released) -> dict[str, str]:
    return load(released.sql.folder / "queries")


async def signatures(url: str, queries: Mapping[str, str]) -> dict[str, tuple[list[str], dict[str, str]]]:
    """The arguments of each query, and its columns."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "pg_catalog"})
    try:
        prepared = {name: await connection.prepare(sql) for name, sql in queries.items()}
        return {
            name: (
                [type_.name for type_ in statement.get_parameters()],
                {column.name: column.type.name for column in statement.get_attributes()},
            )
            for name, statement in prepared.items()
        }
    finally:
        await connection.close()


async def test_the_queries_of_the_release_are_answered_as_they_were(
    released: Released, released_database: Database
) -> None:
    asked = queries(released)
    assert len(asked) > 40
    before = await signatures(released_database.app_url, asked)
    await migrate(released_database.owner_url)
    after = await signatures(released_database.app_url, asked)
    for name, (parameters, columns) in before.items():
        assert after[name][0] == parameters, name
        assert after[name][1].items() >= columns.items(), name


async def test_the_requests_of_the_release_are_answered_as_they_were(
    released: Released, released_database: Database
) -> None:
    """
    To the digests; their positions are as much higher as the migration wrote refinements.

    The chain is left out: it follows from the time and from the id of the ledger.
    """
    before = await last_position(released_database.owner_url)
    await migrate(released_database.owner_url)
    written = await last_position(released_database.owner_url) - before
    asked = queries(released)
    outcomes = set()
    connection = await asyncpg.connect(
        released_database.app_url, server_settings={"search_path": "pg_catalog"}
    )
    try:
        for place, call in enumerate(released.calls):
            query = await connection.prepare(asked[call["query"]])
            # What is left of its arguments says which ledger was seen: none.
            unsaid = len(query.get_parameters()) - len(call["arguments"])
            rows = await query.fetch(*call["arguments"], *[None] * unsaid)
            for row, (outcome, answer) in zip(rows, call["answers"], strict=True):
                outcomes.add(outcome)
                assert row["outcome"] == outcome, place
                assert holds(lasting(row["answer"]), higher(answer, written)), place
    finally:
        await connection.close()
    assert outcomes == OUTCOMES


async def last_position(url: str) -> int:
    """The position at which the ledger ends."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("select max(position) from refinery.refinements"))
    finally:
        await connection.close()


def higher(answer: dict[str, Any], by: int) -> dict[str, Any]:
    """An answer from a ledger with so many refinements before; a forecast has the position 0."""
    position = answer.get("position", 0)
    return {**answer, "position": position + by} if position else answer


def holds(now: Any, then: Any) -> bool:
    """Whether an answer says all that it said; it may say more."""
    if isinstance(then, dict):
        return all(name in now and holds(now[name], member) for name, member in then.items())
    return bool(now == then)


def test_the_contract_of_the_release_is_still_served(released: Released) -> None:
    assert THIS.oldest_contract <= released.sql.contract <= THIS.contract
