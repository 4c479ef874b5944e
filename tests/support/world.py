"""A ledger with some of everything, for tests that look at all that it holds."""

from __future__ import annotations

import asyncio

from refinery_client import Draft, JsonText, Refinery
from refinery_core.vibe.model import VibeType
from tests.cases.seeded import SEEDED
from tests.support.ledger import AUTHOR, Ledger, record

PARTS, WHOLE, TEXT = (SEEDED + place for place in (2, 4, 5))
"""The positions of the schemas `a`, `a.b` and `Z`, of the one that refers to them, and of `text`."""


async def world(ledger: Ledger) -> None:
    """Every kind of edge, branch, document and batch."""
    await ledger.refine(Draft(type=VibeType.ROLE, id="roles/a"), Draft(type=VibeType.PROCESS, id="p"))
    parts = {"Z": {"type": "object"}, "a.b": True, "a": {}}
    await ledger.refine(*(record(id_, schema=schema) for id_, schema in parts.items()))
    await ledger.branch("dev")
    refs = ["aug:/Z", "aug:/a.b#", "aug:/a", "aug:~dev/a", "aug:/a?1", "aug:main@Z?1"]
    schema = {"properties": {f"p{number}": {"$ref": ref} for number, ref in enumerate(refs)}}
    await ledger.refine(
        record("whole", schema=schema, context=None, solution={"é": [1e21, 0.1, "\u2028"]}),
        record("whole", branches=["dev", "main"], prototype_ref="aug:/whole", solution=None),
        author_ref="aug:/roles/a",
        target_refs=["aug:/Z", "aug:/a", "main@Z?1"],
        instruction_refs=["aug:/p"],
        budget_refs=["aug:~dev/a", "main@system/genesis?1"],
    )
    as_written = JsonText('{"b": 1.0, "a": [1e2, "\\u00e9"]}')
    await ledger.refine(record("text", solution=as_written), author_ref="aug:/p")

    async def refine(client: Refinery, number: int) -> None:
        drafts = [record(f"x/{number % 7}", solution=number), record("hot", solution=[number])]
        targets = ["aug:/hot", "aug:/whole"][number % 2 :]
        await client.refine(author_ref=AUTHOR, drafts=drafts, target_refs=targets)

    await ledger.record("hot")
    await asyncio.gather(*(refine(ledger.refinery, number) for number in range(100)))
