"""The requests of a ledger to refine() and forecast(), for every kind of refine, and the answers."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Sequence
from typing import Any, Final

import pytest

from refinery_client import Draft, JsonText, Refinery
from refinery_core.errors import RefineryError
from refinery_core.postgres.database import Database as Store
from refinery_core.vibe.model import VibeType
from tests.conftest import Database
from tests.support.ledger import AUTHOR, record, running

OUTCOMES: Final = {"committed", "replayed", "refused", "stale"}
_OF_A_MOMENT: Final = {"time", "chain"}
"""Members of answers that depend on the clock, and on which ledger it is."""


async def recorded(database: Database) -> list[dict[str, Any]]:
    """Call two ledgers on one database, and record their requests to it."""
    calls: list[dict[str, Any]] = []
    refine, write = Store.refine, Store.write

    def note(query: str, arguments: Sequence[Any], rows: Sequence[Any]) -> None:
        answers = [[row["outcome"], lasting(row["answer"])] for row in rows]
        calls.append({"query": query, "arguments": arguments, "answers": answers})

    async def refining(self: Store, *batch: Any) -> Any:
        rows = await refine(self, *batch)
        note("refine", batch, rows)
        return rows

    async def writing(self: Store, query: str, *arguments: Any) -> Any:
        rows = await write(self, query, *arguments)
        if query == "forecast":
            note(query, arguments, rows)
        return rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "refine", refining)
        patch.setattr(Store, "write", writing)
        async with running(database) as one, running(database) as other:
            await _ask(one.refinery, other.refinery)
    assert {outcome for call in calls for outcome, _ in call["answers"]} == OUTCOMES
    assert {call["query"] for call in calls} == {"refine", "forecast"}
    return calls


def lasting(answer: str | None) -> Any:
    """An answer without what depends on the moment."""
    read = {} if answer is None else json.loads(answer)
    return {name: member for name, member in read.items() if name not in _OF_A_MOMENT}


async def _ask(one: Refinery, other: Refinery) -> None:
    ids = (uuid.uuid5(uuid.NAMESPACE_URL, f"released/{number}") for number in itertools.count())

    async def refine(*drafts: Draft, by: Refinery = one, **fields: Any) -> None:
        await by.refine(**{"author_ref": AUTHOR, "request_id": next(ids), **fields}, drafts=drafts)

    async def refused(*drafts: Draft, **fields: Any) -> None:
        with pytest.raises(RefineryError):
            await refine(*drafts, **fields)

    base = record("schemas/base", schema={"type": "object"})
    await refine(base, record("schemas/user", schema={"properties": {"a": {"$ref": "aug:/schemas/base"}}}))
    await refine(
        Draft(type=VibeType.ROLE, id="roles/a", solution={"title": "A"}),
        Draft(type=VibeType.PROCESS, id="processes/p", solution=PROCESS),
    )
    await refine(
        record("users/ada", schema={"$ref": "aug:/schemas/user"}, solution={"a": {}}, context={"by": "hand"}),
        record("notes/n", solution=JsonText('{"n": 1.10, "text": "\\u00e9"}')),
        author_ref="main@roles/a?1",
        target_refs=["aug:/schemas/user", "main@schemas/base?1"],
        instruction_refs=["aug:/processes/p"],
        budget_refs=["aug:/schemas/base?1"],
    )
    await refine(record("users/ada", prototype_ref="aug:/users/ada", repin=True), record("null"))
    await refine(record("notes/n", expected_revision=1, solution=2))
    await refused(record("notes/n", expected_revision=4))
    await refused(record("notes/n"), target_refs=["aug:/nothing"])
    await refine(record("forecast", schema={"$ref": "aug:/schemas/user"}, solution={}), validate_only=True)
    await one.create_branch("dev", author_ref=AUTHOR, request_id=next(ids))
    await refine(record("users/ada", solution={"a": {"b": 1}}), branch="dev")
    await refine(record("shared", branches=["dev", "main"]), target_refs=["aug:/users/ada"], branch="dev")
    again = next(ids)
    for _ in range(2):
        await refine(record("again"), request_id=again)
    await refused(record("other"), request_id=again)
    # One ledger remembers the latest version, and the other makes a newer one: the pin is stale.
    await refine(record("users/alan", schema={"$ref": "aug:/schemas/user"}, solution={}))
    await refine(record("schemas/user", schema={"type": "object"}), by=other)
    await refine(record("users/alan", schema={"$ref": "aug:/schemas/user"}, solution={}))


PROCESS: Final = {
    "document": {"dsl": "1.0.3", "namespace": "released", "name": "p", "version": "1.0.0"},
    "do": [{"a": {"set": {"n": 1}}}],
}
