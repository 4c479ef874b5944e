"""Verify finds every edit behind the ledger's back."""

from __future__ import annotations

from dataclasses import astuple, replace

import pytest

from refinery_core.postgres import verify_stretch
from refinery_core.postgres.verify import verify
from tests.acceptance.verify.conftest import Clone
from tests.cases.edits import EDITS
from tests.cases.seeded import SEEDED_VIBES


async def test_a_ledger_that_nobody_edited_is_sound(clone: Clone) -> None:
    report = await verify(clone.reader_url, expect=await clone.end())
    assert report.findings == []
    assert (report.position, report.chain) == await clone.end()
    assert report.vibes == 18 + SEEDED_VIBES
    assert report.edges > 40
    for row in await clone.superuser.fetch("select position, chain from refinery.refinements"):
        assert await clone.findings(expect=(row["position"], row["chain"])) == []


@pytest.mark.parametrize("what", EDITS)
async def test_an_edit_behind_the_ledgers_back_is_found(clone: Clone, what: str) -> None:
    kind, place, sql = EDITS[what]
    await clone.edit(sql)
    findings = await clone.findings()
    assert any(kind == found.kind and place in found.place for found in findings), findings


SMALL = (("REFINEMENTS_AT_ONCE", 2), ("SIZES_AT_ONCE", 2), ("PAGE_BYTES", 1))


@pytest.mark.parametrize("what", EDITS)
async def test_what_is_found_does_not_depend_on_where_the_ledger_is_cut(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    await clone.edit(EDITS[what][2])
    whole = await verify(clone.reader_url)
    for name, size in SMALL:
        monkeypatch.setattr(verify_stretch, name, size)
    parts = await verify(clone.reader_url, stretch=1, parallel=1)
    assert sorted(parts.findings, key=astuple) == sorted(whole.findings, key=astuple)
    assert replace(parts, findings=[]) == replace(whole, findings=[])
