from __future__ import annotations

from typing import Any

import pytest

from refinery_client import SchemaForm
from refinery_core.errors import InvalidSchema
from refinery_core.vibe.model import Context, Pin
from tests.integration.conftest import Services


def refers(*references: str) -> dict[str, Any]:
    return {"allOf": [{"$ref": reference} for reference in references]}


async def accepts(services: Services, solution: Any, reference: str = "main@c?1", **asked: Any) -> bool:
    return (await services.refinery.validate_solution(reference, solution=solution, **asked)).valid


async def layers(services: Services) -> None:
    """c is composed from b, which is composed from a; then a is revised."""
    await services.record("a", schema={"required": ["old"]})
    await services.record("b", schema=refers("aug:/a"))
    await services.record("c", schema=refers("aug:/b"))
    await services.record("a", schema={"required": ["new"]})


async def test_own_pins_show_what_it_was_and_repin_what_it_would_be_however_deep(services: Services) -> None:
    await layers(services)
    own = await services.refinery.resolve_schema("main@c?1")
    assert own.dependencies == ("main@a?1", "main@b?1")
    for form in SchemaForm:
        anew = await services.refinery.resolve_schema("main@c?1", repin=True, form=form)
        assert anew.dependencies == ("main@a?2", "main@b?1")
        assert (anew.pins, anew.ref) == ((Pin("aug:/b", "main@b?1"),), "main@c?1")
        assert ("main@a?2" in anew.text) == (form is not SchemaForm.PINNED)
    assert await accepts(services, {"old": 1})
    assert not await accepts(services, {"new": 1})
    assert await accepts(services, {"new": 1}, repin=True)
    assert not await accepts(services, {"old": 1}, repin=True)


async def test_repin_looks_at_one_branch_and_one_moment(services: Services) -> None:
    await services.record("a", schema={"required": ["old"]})
    await services.record("c", schema=refers("aug:/a"))
    past = (await services.refinery.resolve_reference("aug:/a")).read_position
    await services.fork("dev")
    await services.record("a", schema={"required": ["new"]})
    await services.record("a", branch="dev", schema={"required": ["other"]})
    assert await accepts(services, {"new": 1}, repin=True)
    assert await accepts(services, {"other": 1}, repin=True, context=Context("dev"))
    assert await accepts(services, {"old": 1}, repin=True, context=Context("dev", past))


async def test_where_nothing_changed_the_schema_pinned_anew_is_the_same(services: Services) -> None:
    await services.record("a", schema={"required": ["old"]})
    await services.record("c", schema=refers("aug:/a", "aug:/a?1"))
    for form in SchemaForm:
        own = await services.refinery.resolve_schema("main@c?1", form=form)
        assert await services.refinery.resolve_schema("main@c?1", form=form, repin=True) == own


async def test_an_exact_reference_means_that_version_with_the_pins_that_it_has(services: Services) -> None:
    await services.record("a", schema={"required": ["old"]})
    await services.record("b", schema=refers("aug:/a"))
    await services.record("c", schema=refers("aug:/b?1"))
    await services.record("a", schema={"required": ["new"]})
    anew = await services.refinery.resolve_schema("main@c?1", repin=True)
    assert anew.dependencies == ("main@a?1", "main@b?1")


async def test_a_schema_that_is_not_stored_can_be_pinned_anew_as_deep(services: Services) -> None:
    await layers(services)
    shallow = await services.refinery.resolve_schema(schema=refers("aug:/b"))
    assert shallow.dependencies == ("main@a?1", "main@b?1")
    deep = await services.refinery.resolve_schema(schema=refers("aug:/b"), repin=True)
    assert deep.dependencies == ("main@a?2", "main@b?1")


async def test_schemas_that_would_go_round_in_a_circle_are_refused_in_a_sentence(services: Services) -> None:
    await services.record("b", schema={"type": "object"})
    await services.record("a", schema=refers("aug:/b"))
    await services.record("b", schema=refers("aug:/a"))
    assert (await services.refinery.resolve_schema("main@b?2")).dependencies == ("main@a?1", "main@b?1")
    for form in SchemaForm:
        with pytest.raises(InvalidSchema, match="would be composed from each other") as refusal:
            await services.refinery.resolve_schema("main@b?2", repin=True, form=form)
        assert refusal.value.metadata["field"] == "reference"
        assert "main@a?1 → main@b?2" in refusal.value.message


async def test_a_fragment_that_leads_nowhere_any_more_is_refused_and_says_where(services: Services) -> None:
    await services.record("a", schema={"$defs": {"x": {"type": "object"}}})
    await services.record("b", schema=refers("aug:/a#/$defs/x"))
    await services.record("c", schema=refers("aug:/b"))
    await services.record("a", schema={"$defs": {"y": {"type": "object"}}})
    assert await accepts(services, {})
    with pytest.raises(
        InvalidSchema, match=r"in main@b\?1, 'aug:/a#/\$defs/x' leads to no schema in main@a\?2"
    ):
        await services.refinery.resolve_schema("main@c?1", repin=True)
