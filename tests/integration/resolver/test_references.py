from __future__ import annotations

import pytest

from refinery_core.errors import (
    BranchNotFound,
    InvalidField,
    InvalidReference,
    PositionOutOfRange,
    SchemaMissing,
    VibeNotFound,
)
from refinery_core.vibe.model import Context
from tests.integration.conftest import Services

USER = {"properties": {"age": {"type": "integer"}, "note": {"default": {"type": "string"}}}}


async def test_a_reference_means_the_latest_of_its_context(services: Services) -> None:
    refinery = services.refinery
    first = await services.record("schemas/user", solution=1)
    position = (await refinery.resolve_reference(first)).read_position
    await services.fork("dev/x")
    second = await services.record("schemas/user", solution=2)
    own = await services.record("schemas/user", branch="dev/x", solution=3)

    async def meant(reference: str, branch: str = "main", as_of: int | None = None) -> str:
        context = Context(branch, as_of)
        return (await refinery.resolve_reference(reference, context=context)).vibe.ref

    assert (first, second, own) == (
        "main@schemas/user?1",
        "main@schemas/user?2",
        "dev/x@schemas/user?2",
    )
    assert await meant("aug:/schemas/user") == second
    assert await meant("aug:/schemas/user", as_of=position) == first
    assert await meant("aug:/schemas/user", "dev/x") == own
    assert await meant("aug:/schemas/user", "dev/x", position) == first
    assert await meant("aug:/schemas/user?1", "dev/x") == first
    assert await meant("aug:~dev%2Fx/schemas/user") == own
    assert await meant("aug:~main/schemas/user", "dev/x") == second
    assert await meant(own, as_of=position) == own


async def test_the_answer_says_when_it_was_read_and_carries_no_documents(services: Services) -> None:
    ref = await services.record("orders/1", solution={"total": 1})
    answer = await services.refinery.resolve_reference("aug:/orders/1")
    last = (await services.rows("select max(position) from refinery.refinements"))[0][0]
    assert (answer.vibe.ref, answer.read_position) == (ref, last)
    assert not answer.vibe.solution
    past = await services.refinery.resolve_reference(ref, context=Context(as_of=1))
    assert past.read_position == 1


async def test_a_fragment_must_lead_to_a_schema(services: Services) -> None:
    ref = await services.record("schemas/user", schema=USER)
    await services.record("orders/1", solution=1)
    resolve = services.refinery.resolve_reference
    assert (await resolve("aug:/schemas/user#/properties/age")).vibe.ref == ref
    assert (await resolve("aug:/schemas/user#")).vibe.ref == ref
    for fragment in ("/properties/size", "/properties/note/default", "/properties"):
        with pytest.raises(InvalidReference, match=r"leads to no schema in main@schemas/user\?1"):
            await resolve(f"aug:/schemas/user#{fragment}")
    with pytest.raises(SchemaMissing):
        await resolve("aug:/orders/1#/properties/age")


async def test_what_means_nothing_is_refused_with_its_reason(services: Services) -> None:
    await services.record("schemas/user", schema=USER)
    resolve = services.refinery.resolve_reference
    for reference in ("main@schemas/user?2", "aug:/schemas/user?2", "aug:/schemas/nobody"):
        with pytest.raises(VibeNotFound) as refusal:
            await resolve(reference)
        assert refusal.value.code.name == "NOT_FOUND"
    with pytest.raises(BranchNotFound):
        await resolve("aug:/schemas/user", context=Context("dev/none"))
    with pytest.raises(BranchNotFound):
        await resolve("main@schemas/user?1", context=Context("dev/none"))
    with pytest.raises(BranchNotFound):
        await resolve("aug:~dev/schemas/user")
    with pytest.raises(PositionOutOfRange):
        await resolve("aug:/schemas/user", context=Context(as_of=900))
    with pytest.raises(InvalidReference):
        await resolve("aug:/schemas//user")
    with pytest.raises(InvalidField):
        await resolve("")
