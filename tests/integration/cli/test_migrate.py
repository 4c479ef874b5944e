from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest

from refinery_cli.__main__ import run


async def test_migrate_lists_what_it_applied_and_then_has_nothing_to_do(
    empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = ["migrate", "--url", empty_database]
    assert await asyncio.to_thread(run, tokens) == 0
    assert "migrations/0001_ledger.sql" in capsys.readouterr().out.splitlines()
    assert await asyncio.to_thread(run, tokens) == 0
    assert capsys.readouterr().out == "Nothing to do: the database is at this version.\n"
    assert await asyncio.to_thread(run, [*tokens, "-o", "json"]) == 0
    assert capsys.readouterr().out.split() == ["{", '"applied":', "[]", "}"]


async def test_migrate_refuses_a_database_with_newer_code_unless_it_is_told_to_go_back(
    empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = ["migrate", "--url", empty_database]
    assert await asyncio.to_thread(run, tokens) == 0
    connection = await asyncpg.connect(empty_database)
    await connection.execute("update refinery.schema_code set release = '99.0.0', sha256 = 'another'")
    await connection.close()
    capsys.readouterr()
    assert await asyncio.to_thread(run, tokens) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: The SQL code in force is of 99.0.0, newer than this version, ")
    assert said.err.count("\n") == 1
    assert await asyncio.to_thread(run, [*tokens, "--downgrade"]) == 0
    assert "functions/refine.sql" in capsys.readouterr().out.splitlines()
    assert await asyncio.to_thread(run, tokens) == 0


@pytest.mark.parametrize("verb", ["migrate", "verify"])
async def test_what_cannot_be_done_is_an_object_for_programs(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = [verb, "--url", "postgresql://nobody@127.0.0.1:1/none", "-o", "json"]
    assert await asyncio.to_thread(run, tokens) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "cannot be" in json.loads(said.err)["message"]


async def test_verify_reads_a_database_that_it_is_given(
    empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(run, ["migrate", "--url", empty_database]) == 0
    assert await asyncio.to_thread(run, ["verify", "--url", empty_database]) == 0
    assert "sound" in capsys.readouterr().out
