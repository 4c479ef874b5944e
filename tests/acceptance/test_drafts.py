from __future__ import annotations

import pytest

from refinery_client import Draft
from refinery_core.errors import UnknownReference
from refinery_core.vibe.model import VibeType
from tests.acceptance.conftest import Ledger, record


@pytest.mark.parametrize("validate_only", [True, False])
async def test_an_earlier_draft_is_the_prototype_of_a_later_one(ledger: Ledger, validate_only: bool) -> None:
    refined = await ledger.refine(
        record("plans/a", schema={"type": "object"}, solution={"n": 1}),
        record("plans/b", prototype_ref="aug:/plans/a", solution={"n": 2}),
        record("plans/a", prototype_ref="aug:/plans/b", context={"from": "b"}),
        record("plans/c", prototype_ref="aug:/plans/a"),
        validate_only=validate_only,
    )
    refs = [(vibe.ref, vibe.prototype_ref) for vibe in refined.vibes]
    assert refs == [
        ("main@plans/a?1", None),
        ("main@plans/b?1", "main@plans/a?1"),
        ("main@plans/a?2", "main@plans/b?1"),
        ("main@plans/c?1", "main@plans/a?2"),
    ]
    if not validate_only:
        last = await ledger.refinery.get_vibe("aug:/plans/c")
        assert (last.context, last.schema, last.solution) == ({"from": "b"}, {"type": "object"}, {"n": 2})


async def test_a_later_draft_is_no_prototype_and_no_input_is_a_draft(ledger: Ledger) -> None:
    with pytest.raises(UnknownReference):
        await ledger.refine(record("a", prototype_ref="aug:/b"), record("b"))
    with pytest.raises(UnknownReference):
        await ledger.refine(record("a"), record("b", prototype_ref="main@b?1"))
    with pytest.raises(UnknownReference):
        await ledger.refine(Draft(type=VibeType.ROLE, id="me"), author_ref="aug:/me")
