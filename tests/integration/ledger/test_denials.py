"""Refused calls are counted by the minute and written down; a flood of them fills nothing."""

from __future__ import annotations

import uuid

import asyncpg
import pytest

from ledger_service.access import list_denials
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_core.errors import DatabaseUnavailable, InvalidPageToken, PermissionDenied
from refinery_core.serving.audit import MOST_A_MINUTE, Denials
from refinery_core.serving.principal import Caller
from refinery_core.stored import denials as stored
from refinery_core.stored.denials import denials_kept
from tests.conftest import Database
from tests.integration.ledger.desk import ADA, BOB, NOBODY, ROOT, Desk, refused

METHOD = "/refinery.ledger.v1.LedgerService/Refine"


def denied(id_: str = "orders/1", principal: str = BOB.principal) -> PermissionDenied:
    return PermissionDenied(
        principal=principal, verb="refine", id=id_, branch="main", role="main@roles/desk?1", problem="because"
    )


async def listed(desk: Desk, caller: Caller = ROOT, **fields: object) -> pb.ListDenialsResponse:
    request = pb.ListDenialsRequest(**fields)  # type: ignore[arg-type]
    return await list_denials(desk.vibes, desk.refiner.rights, request, caller)


async def test_denials_are_written_down_with_how_often(desk: Desk) -> None:
    denials = Denials()
    async with denials_kept(desk.vibes.database, "ledger", denials):
        for refusal in (denied(), denied(), denied("orders/2"), denied(principal=ADA.principal)):
            denials.note(refusal, METHOD)
    answer = await listed(desk)
    assert sum(one.count for one in answer.denials) == 4
    (twice,) = [one for one in answer.denials if one.count == 2]
    assert (twice.principal, twice.id, twice.method, twice.service) == (
        BOB.principal,
        "orders/1",
        METHOD,
        "ledger",
    )
    assert [one.id for one in (await listed(desk, principal=ADA.principal)).denials] == ["orders/1"]
    assert not (await listed(desk, until=twice.minute)).denials
    assert len((await listed(desk, since=twice.minute)).denials) == 3


async def test_a_minute_is_written_down_when_it_is_over_and_once(desk: Desk) -> None:
    denials = Denials()
    denials.note(denied(), METHOD)
    (now,) = [denial.minute for denial, _ in denials.take(before=float("inf"))]
    denials.note(denied(), METHOD)
    assert denials.take(before=now + 59.9) == []
    assert [count for _, count in denials.take(before=now + 180)] == [1]
    assert denials.take(before=now + 180) == []


async def test_pages_of_denials_go_on_where_they_ended(desk: Desk) -> None:
    denials = Denials()
    async with denials_kept(desk.vibes.database, "ledger", denials):
        for number in range(5):
            denials.note(denied(f"orders/{number}"), METHOD)
    found, token = [], ""
    while True:
        page = await listed(desk, page_size=2, page_token=token)
        found += [one.id for one in page.denials]
        if not (token := page.next_page_token):
            break
    assert sorted(found) == [f"orders/{number}" for number in range(5)]
    with pytest.raises(InvalidPageToken):
        await listed(desk, page_token="x", principal="other")


async def test_a_flood_of_different_denials_is_bounded(desk: Desk, database: Database) -> None:
    denials = Denials()
    async with denials_kept(desk.vibes.database, "ledger", denials):
        for number in range(3 * MOST_A_MINUTE):
            denials.note(denied(f"orders/{number}"), METHOD)
    connection = await asyncpg.connect(database.owner_url)
    rows = await connection.fetchrow("select count(*) as rows, sum(count) as calls from refinery.denials")
    await connection.close()
    assert rows is not None
    assert rows["rows"] <= 2 * (MOST_A_MINUTE + 1)  # The minute may change meanwhile.
    assert rows["calls"] == 3 * MOST_A_MINUTE


async def test_denials_that_cannot_be_written_wait(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    denials = Denials()
    denials.note(denied(), METHOD)

    async def away(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(desk.vibes.database, "write", away)
    await stored._write(desk.vibes.database, "ledger", uuid.uuid4(), denials, before=float("inf"))
    assert [count for _, count in denials.take(before=float("inf"))] == [1]


async def test_denials_are_for_those_who_read_genesis(desk: Desk) -> None:
    await refused(PermissionDenied, listed(desk, BOB))
    assert not (await listed(desk, ADA)).denials
    assert not (await listed(desk, NOBODY)).denials
