"""Verify from an earlier position and chain: only the new part is checked."""

from __future__ import annotations

import pytest

from refinery_core.postgres.verify import Report, verify
from tests.acceptance.verify.conftest import Clone
from tests.cases.edits import EDITS
from tests.support.content import IMPORTED, LAST


async def test_what_was_verified_before_is_not_looked_at_again(clone: Clone) -> None:
    since = IMPORTED, await clone.chain(IMPORTED)
    whole, new = await verify(clone.reader_url), await verify(clone.reader_url, since=since)
    assert new.findings == []
    assert (new.position, new.chain) == (whole.position, whole.chain)
    assert (new.vibes, new.edges) == (4, await clone.superuser.fetchval(
        "select count(*) from refinery.vibe_refs where position > $1", IMPORTED))  # fmt: skip
    nothing = await verify(clone.reader_url, since=await clone.end())
    assert (nothing.position, nothing.chain) == await clone.end()
    assert nothing == Report(whole.ledger, *await clone.end())


@pytest.mark.parametrize(
    "what",
    [
        "a solution taken away",
        "an edge from nowhere",
        "a Vibe too many",
        "the order of targets",
        "a position on a branch",
        "a version on another branch too",
        "a time that never comes",
    ],
)
async def test_what_was_edited_is_found_where_it_is_new_and_only_there(clone: Clone, what: str) -> None:
    kind, place, sql = EDITS[what]
    position = IMPORTED if what == "the order of targets" else LAST - 1
    first, last = (position - 1, await clone.chain(position - 1)), await clone.end()
    await clone.edit(sql)
    findings = await clone.findings(since=first)
    assert any(kind == found.kind and place in found.place for found in findings), findings
    if what != "a time that never comes":
        assert await clone.findings(since=(LAST, last[1])) == []


async def test_a_past_that_is_not_the_one_that_was_verified_is_told(clone: Clone) -> None:
    since = IMPORTED, await clone.chain(IMPORTED)
    await clone.edit("update refinery.refinements set chain = sha256('x') where position = $1", IMPORTED)
    (before, chain) = await clone.findings(since=since)
    assert (before.kind, before.place) == ("chain", f"position {IMPORTED + 1}")
    assert (chain.kind, chain.place) == ("chain", f"position {IMPORTED}")
    assert "is not the chain that was expected" in chain.sentence
    (tail,) = await clone.findings(since=(99, since[1]))
    assert (tail.kind, tail.place) == ("tail", "position 99")
    assert tail.sentence == f"is missing: the ledger ends at {LAST}"
