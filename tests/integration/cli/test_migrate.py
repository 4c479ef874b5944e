from __future__ import annotations

import asyncio

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


async def test_verify_reads_a_database_that_it_is_given(
    empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(run, ["migrate", "--url", empty_database]) == 0
    assert await asyncio.to_thread(run, ["verify", "--url", empty_database]) == 0
    assert "sound" in capsys.readouterr().out
