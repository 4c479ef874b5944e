"""A forged past that agrees with itself is found by a chain that was kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from refinery_core.vibe import digests, documents
from tests.acceptance.verify.conftest import Clone
from tests.support.content import LAST, REVISED


async def _rewrite(clone: Clone, ref: str, solution: str) -> None:
    """Change a Vibe that nothing refers to, with its digests, so that the row agrees with itself."""
    row = await clone.superuser.fetchrow("select * from refinery.vibes where ref = $1", ref)
    author = await clone.superuser.fetchval(
        "select digest from refinery.vibes where ref = $1", row["author_ref"]
    )
    content = digests.content_digest(None, None, documents.parse(solution).text)
    digest = digests.vibe_digest(
        type=row["type"],
        ref=ref,
        branches=row["branches"],
        author_ref=row["author_ref"],
        prototype_ref=None,
        target_refs=[],
        instruction_refs=[],
        budget_refs=[],
        content_digest=content,
        referred={row["author_ref"]: author},
    )
    await clone.edit(
        "update refinery.vibes set solution = $2::text::jsonb, content_digest = $3, digest = $4"
        " where ref = $1",
        ref,
        solution,
        content,
        digest,
    )


async def _chain_anew(clone: Clone) -> None:
    """Compute every chain link again, as a patient forger would."""
    chain = digests.origin(await clone.superuser.fetchval("select id from refinery.ledger"))
    for row in await clone.superuser.fetch("select * from refinery.refinements order by position"):
        made = await clone.superuser.fetch(
            "select digest from refinery.vibes where position = $1 order by ordinal", row["position"]
        )
        chain = digests.chain(
            previous=chain,
            position=row["position"],
            time_us=digests.time_us(row["time"]),
            principal=row["principal"],
            request_id=row["request_id"],
            request_digest=row["request_digest"],
            digests=[vibe["digest"] for vibe in made],
        )
        await clone.edit("update refinery.refinements set chain = $2 where id = $1", row["id"], chain)


async def test_digests_made_anew_do_not_fit_the_chain(clone: Clone) -> None:
    await _rewrite(clone, "main@last?1", '"another end"')
    assert [(found.kind, found.place) for found in await clone.findings()] == [("chain", f"position {LAST}")]


async def _rewrite_all(clone: Clone) -> None:
    await _rewrite(clone, "main@last?1", '"another end"')
    await _chain_anew(clone)


async def _cut_off(clone: Clone) -> None:
    for table in ("vibe_refs", "vibe_branches", "vibes", "refinements"):
        await clone.edit(f"delete from refinery.{table} where position > $1", REVISED)


@pytest.mark.parametrize(("forge", "kind"), [(_rewrite_all, "chain"), (_cut_off, "tail")])
async def test_a_past_that_was_made_anew_throughout_is_found_by_who_kept_a_chain(
    clone: Clone, forge: Callable[[Clone], Awaitable[None]], kind: str
) -> None:
    kept = await clone.end()
    await forge(clone)
    assert await clone.findings() == []
    assert [found.kind for found in await clone.findings(expect=kept)] == [kind]


async def test_a_chain_that_was_never_answered_is_not_confirmed(clone: Clone) -> None:
    position, chain = await clone.end()
    for expect in ((position, bytes(32)), (position - 1, chain), (position + 1, chain), (0, chain)):
        assert await clone.findings(expect=expect) != [], expect
