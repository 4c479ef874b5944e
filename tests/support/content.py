"""A small ledger with something of everything, in 12 refinements after those of the migration."""

from __future__ import annotations

from refinery_client import Draft
from refinery_core.vibe.model import VibeType
from tests.cases.seeded import SEEDED
from tests.support.ledger import Ledger, record

FORK, IMPORTED, REVISED, LAST = (SEEDED + place for place in (4, 8, 10, 12))
"""Positions: of the fork of `dev`, of `imported/…`, of the third version of `users/1`, and the last."""
ADDRESS = {"type": "object", "$defs": {"zip": {"type": "string"}}}
USER = {
    "properties": {
        "home": {"$ref": "aug:/schemas/address"},
        "zip": {"$ref": "aug:/schemas/address#/$defs/zip"},
        "old": {"$refOriginal": "aug:/schemas/address?1"},
    }
}
IMPORT = {
    "document": {"dsl": "1.0.3", "namespace": "tests", "name": "import", "version": "1.0.0"},
    "do": [{"nothing": {"set": {"imported": True}}}],
}


async def write_content(ledger: Ledger) -> None:
    """Refine it: roles, branches, pins, inputs, prototypes, several drafts, several branches."""
    await ledger.refine(Draft(type=VibeType.ROLE, id="roles/editor", solution={"name": "Editor"}))
    editor = {"author_ref": "aug:/roles/editor"}
    await ledger.refine(record("schemas/address", schema=ADDRESS), **editor)
    await ledger.refine(
        record("schemas/user", schema=USER, context={"lang": "en"}),
        record("users/1", prototype_ref="aug:/schemas/user", solution={"zip": "1"}),
        Draft(type=VibeType.PROCESS, id="processes/import", solution=IMPORT),
        **editor,
    )
    await ledger.branch("dev")
    await ledger.branch("dev/deep", "dev")
    await ledger.refine(record("schemas/address", schema={"type": "object", **ADDRESS}), branch="dev")
    await ledger.refine(record("both", branches=["dev", "main"], solution=[1.5, 1e20, "é", None]))
    await ledger.refine(
        *[record(f"imported/{number}", solution={"n": number}) for number in range(5)],
        author_ref="aug:/processes/import",
        target_refs=["aug:/users/1", "aug:/both"],
        instruction_refs=["aug:/processes/import"],
        budget_refs=["aug:/roles/editor"],
    )
    for number in range(3):
        await ledger.refine(
            record("users/1", solution={"zip": str(number)}, schema={"$ref": "aug:/schemas/user"})
        )
    await ledger.refine(record("last", solution="the end"))
