"""Every right is derived again from the rows: whatever was made without one is found."""

# ruff: noqa: E501 - a row of the table is one line

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from refinery_core.postgres.verify import Report, verify
from tests.conftest import Database
from tests.integration.ledger.desk import ADA, BOB, DESK, GENESIS, ROOT, WORKER, Desk, draft, role

CARRIER = {"members": [WORKER.principal], "may": [{"do": ["carry-out"], "ids": ["executions/**"]}]}


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("set session_replication_role = replica")
    yield connection
    await connection.close()


@pytest.fixture
async def written(desk: Desk, database: Database, superuser: asyncpg.Connection) -> Database:
    """A ledger with one of each: a Role, its use, a step for an execution, a withdrawal, and a branch."""
    await superuser.execute("alter table refinery.refinements disable trigger refuse_change")
    await superuser.execute("alter table refinery.vibes disable trigger refuse_change")
    await superuser.execute("alter table refinery.vibes drop constraint vibes_check")
    for table in ("role_members", "role_rules"):
        await superuser.execute(f"alter table refinery.{table} disable trigger refuse_change")
    await desk.refine(ROOT, GENESIS, role("carrier", CARRIER))
    await desk.refine(ADA, "aug:/roles/desk", draft("orders/1"))
    execution = await desk.refine(WORKER, "aug:/roles/desk", draft("executions/1"))
    await desk.refine(WORKER, "aug:/roles/desk", draft("orders/2"), behalf_ref=execution.vibes[0].ref)
    await desk.branch(ADA, "aug:/roles/desk", "dev/a")
    await desk.refine(ADA, "aug:/roles/desk", role("desk", {**DESK, "title": "Desk"}))
    await desk.refine(ROOT, GENESIS, role("desk", {**DESK, "members": []}))
    return database


async def findings(database: Database) -> set[tuple[str, str]]:
    report = await verify(database.reader_url, parallel=1)
    return {(finding.kind, finding.sentence) for finding in report.findings}


async def rights(database: Database) -> set[str]:
    return {sentence for kind, sentence in await findings(database) if kind == "authority"}


async def test_what_was_made_by_right_is_sound_and_root_is_named(written: Database) -> None:
    report: Report = await verify(written.reader_url)
    assert report.is_sound, report.findings
    assert report.genesis == [ROOT.principal]


@pytest.mark.parametrize(
    ("edit", "arguments", "sentence"),
    [
        (
            "update refinery.refinements set principal = $1, held_as = $1 where held_as = $2",
            (BOB.principal, ADA.principal),
            f"gave '{BOB.principal}' more than 'main@roles/desk?1' allowed",
        ),
        (
            "update refinery.refinements set held_as = null where held_as = $1",
            (ADA.principal,),
            f"was made by '{ADA.principal}', and no right was judged",
        ),
        (
            "update refinery.refinements set held_as = $1 where held_as = $2",
            ("group:https://elsewhere#desk", ADA.principal),
            f"names 'group:https://elsewhere#desk', which is not of '{ADA.principal}'",
        ),
        (
            "update refinery.vibes set id = 'reviews/1' where id = $1",
            ("orders/1",),
            f"gave '{ADA.principal}' more than 'main@roles/desk?1' allowed",
        ),
        (
            "update refinery.vibes set branches = '{live}' where id = $1",
            ("orders/1",),
            f"gave '{ADA.principal}' more than 'main@roles/desk?1' allowed",
        ),
        (
            "update refinery.vibes set id = 'system/branches/live' where id = $1",
            ("system/branches/dev/a",),
            f"gave '{ADA.principal}' more than 'main@roles/desk?1' allowed",
        ),
        (
            "update refinery.refinements set behalf_ref = null where behalf_ref = $1",
            ("main@executions/1?1",),
            f"gave '{WORKER.principal}' more than 'main@roles/desk?1' allowed",
        ),
        (
            "update refinery.refinements set behalf_ref = $1 where behalf_ref is not null",
            ("main@orders/1?1",),
            f"gave '{WORKER.principal}' more than 'main@roles/desk?1' allowed",
        ),
        (
            "update refinery.vibes set solution = jsonb_set(solution, '{may,0,ids}', $1) where ref = 'main@roles/desk?2'",
            ('["**"]',),
            "gives more than 'main@roles/desk?1' had itself",
        ),
    ],
    ids=[
        "another principal", "unjudged", "a foreign group", "another id", "another branch", "another branch's name",
        "no execution", "not an execution", "escalated",
    ],
)  # fmt: skip
async def test_a_right_that_was_not_there_is_found(
    written: Database, superuser: asyncpg.Connection, edit: str, arguments: tuple[Any, ...], sentence: str
) -> None:
    assert (await superuser.execute(edit, *arguments)) != "UPDATE 0"
    assert sentence in await rights(written)


async def test_a_refinement_after_the_revocation_is_found(
    written: Database, superuser: asyncpg.Connection
) -> None:
    """The last one is moved before the use of the Role, as its digests would be made anew by somebody who can."""
    positions = [row["position"] for row in await superuser.fetch(
        "select position from refinery.refinements where held_as = $1 order by position", ADA.principal
    )]  # fmt: skip
    last = await superuser.fetchval("select max(position) from refinery.refinements")
    for table in ("refinements", "vibes"):
        await superuser.execute(
            f"update refinery.{table} set position = position + 100 where position = $1", positions[0]
        )
    assert positions[0] < last
    assert "was made in the name of 'main@roles/desk?1', which was not in force" in await rights(written)


async def test_members_that_only_the_table_has_are_found(
    written: Database, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(
        "insert into refinery.role_members (ref, member) values ('main@roles/desk?3', $1)", BOB.principal
    )
    assert ("role index", "differs from the Role") in await findings(written)
    await superuser.execute("delete from refinery.role_members where ref = 'main@roles/desk?3'")
    assert not await findings(written)
    await superuser.execute(
        "update refinery.role_rules set verbs = '{refine,erase}' where ref = 'main@roles/desk?3' and number = 0"
    )
    assert ("role index", "differs from the Role") in await findings(written)
