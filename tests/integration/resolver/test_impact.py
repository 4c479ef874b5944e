from __future__ import annotations

from typing import Any

import pytest

from refinery_client import ABSENT, Draft, Impact, ImpactVerdict
from refinery_core.errors import BranchNotFound, InvalidField, InvalidSchema, SchemaMissing, VibeNotFound
from refinery_core.vibe.model import VibeType
from resolver_service import reach
from tests.integration.conftest import Services

UNAFFECTED, VALID = ImpactVerdict.UNAFFECTED, ImpactVerdict.VALID
INVALID, UNRESOLVABLE = ImpactVerdict.INVALID, ImpactVerdict.UNRESOLVABLE
NAMED = {"required": ["name"]}


def refers(*references: str) -> dict[str, Any]:
    return {"allOf": [{"$ref": reference} for reference in references]}


async def impacts(services: Services, id_: str, schema: Any = ABSENT, **asked: Any) -> list[Impact]:
    return [impact async for impact in services.refinery.analyze_impact(id_, schema=schema, **asked)]


async def verdicts(services: Services, id_: str, schema: Any = ABSENT, **asked: Any) -> dict[str, Any]:
    return {impact.ref: impact.verdict for impact in await impacts(services, id_, schema, **asked)}


async def test_solutions_are_judged_by_the_changed_schema_where_references_float(services: Services) -> None:
    await services.record("user", schema={"type": "object"})
    await services.record("users/1", schema=refers("aug:/user"), solution={"name": "Ada"})
    await services.record("users/2", schema=refers("aug:/user"), solution={})
    await services.record("users/3", schema=refers("aug:/user?1"), solution={})
    await services.record("users/4", schema=refers("aug:/user", "aug:/user?1"), solution={})
    await services.record("group", schema={"items": {"$ref": "aug:/user"}})
    before = await services.rows("select count(*) from refinery.vibes")
    found = await impacts(services, "user", NAMED)
    assert {impact.ref: impact.verdict for impact in found} == {
        "main@users/1?1": VALID,
        "main@users/2?1": INVALID,
        "main@users/3?1": UNAFFECTED,
        "main@users/4?1": INVALID,
        "main@group?1": VALID,
    }
    (broken,) = (impact for impact in found if impact.ref == "main@users/2?1")
    assert broken.depth == 1
    assert "name" in broken.violations[0].message
    assert await services.rows("select count(*) from refinery.vibes") == before


async def test_the_change_reaches_through_other_schemas_nearest_first(services: Services) -> None:
    await services.record("a", schema={"type": "object"})
    await services.record("b", schema=refers("aug:/a"))
    await services.record("c", schema=refers("aug:/b"), solution={})
    await services.record("d", schema=refers("aug:/b?1"), solution={})
    await services.record("e", schema=refers("aug:/c"), solution={"name": 1})
    found = await impacts(services, "a", NAMED)
    assert [impact.depth for impact in found] == [1, 2, 2, 3]
    assert sorted((impact.ref, impact.verdict, impact.depth) for impact in found) == [
        ("main@b?1", VALID, 1),
        ("main@c?1", INVALID, 2),
        ("main@d?1", UNAFFECTED, 2),
        ("main@e?1", VALID, 3),
    ]


async def test_only_the_latest_versions_are_looked_at(services: Services) -> None:
    await services.record("a", schema={"type": "object"})
    await services.record("r", schema=refers("aug:/a"), solution={})
    await services.record("r", schema=refers("aug:/a"), solution={"name": 1})
    await services.record("gone", schema=refers("aug:/a"), solution={})
    await services.record("gone", schema={"type": "object"}, solution={})
    assert await verdicts(services, "a", NAMED) == {"main@r?2": VALID}


async def test_a_way_through_a_version_that_is_not_the_latest_counts(services: Services) -> None:
    await services.record("a", schema={"type": "object"})
    await services.record("b", schema=refers("aug:/a"))
    await services.record("pinned", schema=refers("aug:/b?1"), solution={})
    await services.record("floats", schema=refers("aug:/b"), solution={})
    await services.record("b", schema={"type": "object"})
    assert await verdicts(services, "a", NAMED) == {"main@pinned?1": UNAFFECTED, "main@floats?1": UNAFFECTED}
    await services.record("b", schema=refers("aug:/a"))
    assert await verdicts(services, "a", NAMED) == {
        "main@b?3": VALID,
        "main@pinned?1": UNAFFECTED,
        "main@floats?1": INVALID,
    }


async def test_a_branch_answers_for_what_it_sees(services: Services) -> None:
    await services.record("a", schema={"type": "object"})
    await services.record("inherited", schema=refers("aug:/a"), solution={})
    await services.record("changed", schema=refers("aug:/a"), solution={})
    await services.record("elsewhere", schema=refers("aug:~main/a"), solution={})
    await services.fork("dev")
    await services.record("changed", branch="dev", schema=refers("aug:/a"), solution={"name": 1})
    await services.record("later", schema=refers("aug:/a"), solution={})
    assert await verdicts(services, "a", NAMED, branch="dev") == {
        "main@inherited?1": INVALID,
        "dev@changed?2": VALID,
        "main@elsewhere?1": UNAFFECTED,
    }
    assert set(await verdicts(services, "a", NAMED)) == {
        "main@inherited?1",
        "main@changed?1",
        "main@elsewhere?1",
        "main@later?1",
    }


async def test_without_a_schema_it_is_the_change_that_was_made_already(services: Services) -> None:
    await services.record("a", schema={"type": "object"})
    await services.record("old", schema=refers("aug:/a"), solution={})
    await services.record("exact", schema=refers("aug:/a?1"), solution={})
    await services.record("a", schema=NAMED)
    await services.record("new", schema=refers("aug:/a"), solution={"name": 1})
    assert await verdicts(services, "a") == {
        "main@old?1": INVALID,
        "main@exact?1": UNAFFECTED,
        "main@new?1": VALID,
    }


async def test_what_can_be_composed_no_more_is_said_in_a_sentence(services: Services) -> None:
    await services.record("a", schema={"$defs": {"x": {"type": "object"}}})
    await services.record("part", schema=refers("aug:/a#/$defs/x"), solution={})
    await services.record("user", schema=refers("aug:/part"), solution={})
    found = await impacts(services, "a", {"$defs": {}})
    assert [(impact.ref, impact.verdict) for impact in found] == [
        ("main@part?1", UNRESOLVABLE),
        ("main@user?1", UNRESOLVABLE),
    ]
    assert all("leads to no schema in main@a?2" in impact.message for impact in found)


async def test_what_could_not_be_composed_anyway_is_not_blamed_on_an_unrelated_change(
    services: Services,
) -> None:
    await services.record("a", schema={"type": "object"})
    await services.record("z", schema={"$defs": {"x": {"type": "object"}}})
    await services.record("both", schema=refers("aug:/a?1", "aug:/z#/$defs/x"), solution={})
    await services.record("z", schema={"$defs": {}})
    assert await verdicts(services, "a", NAMED) == {"main@both?1": UNAFFECTED}
    assert await verdicts(services, "z") == {"main@both?1": UNRESOLVABLE}


async def test_a_change_that_would_close_a_circle_is_said_in_a_sentence(services: Services) -> None:
    await services.record("a", schema={"type": "object"})
    await services.record("b", schema=refers("aug:/a"), solution={})
    (impact,) = await impacts(services, "a", refers("aug:/b"))
    assert impact.verdict is UNRESOLVABLE
    assert "would be composed from each other" in impact.message


async def test_what_is_foretold_is_what_pinning_anew_shows_after_the_change(
    services: Services,
) -> None:
    await services.record("a", schema={"type": "object"})
    await services.record("b", schema=refers("aug:/a"), solution={"name": 1})
    await services.record("c", schema=refers("aug:/b", "aug:/a?1"), solution={})
    await services.record("d", schema=refers("aug:/b?1"), solution={})
    await services.record("e", schema=refers("aug:/c", "aug:/d"), solution={"name": 2})
    await services.record("f", schema=refers("aug:/d"), solution={})
    before = {ref: await anew(services, ref) for ref in ("main@d?1", "main@f?1")}
    foretold = await verdicts(services, "a", NAMED)
    await services.record("a", schema=NAMED)
    assert foretold == {
        "main@b?1": VALID,
        "main@c?1": INVALID,
        "main@d?1": UNAFFECTED,
        "main@e?1": VALID,
        "main@f?1": UNAFFECTED,
    }
    for ref, verdict in foretold.items():
        if verdict is UNAFFECTED:
            assert await anew(services, ref) == before[ref]
        else:
            validation = await services.refinery.validate_solution(ref, repin=True)
            assert validation.valid is (verdict is VALID)


async def anew(services: Services, ref: str) -> str:
    return (await services.refinery.resolve_schema(ref, repin=True)).text


async def test_a_limit_cuts_the_answer_and_says_so(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "EDGES_AT_ONCE", 7)
    await services.record("a", schema={"type": "object"})
    drafts = [
        Draft(type=VibeType.RECORD, id=f"r/{n}", schema=refers("aug:/a"), solution={}) for n in range(40)
    ]
    await services.refine(*drafts)
    for most, count in ((39, 39), (40, 40), (41, 40)):
        answers = services.refinery.analyze_impact("a", schema=NAMED, max_vibes=most)
        found = [impact async for impact in answers]
        assert (len(found), len({impact.ref for impact in found})) == (count, count)
        assert {impact.verdict for impact in found} == {INVALID}
        assert answers.truncated is (most < 40)


async def test_each_different_schema_is_compiled_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await services.record("a", schema={"type": "object"})
    drafts = [
        Draft(
            type=VibeType.RECORD,
            id=f"r/{n}",
            schema={**refers("aug:/a"), "title": f"{n % 3}"},
            solution={"name": n} if n % 2 else {},
        )
        for n in range(60)
    ]
    await services.refine(*drafts)
    compiled = []
    validator = services.resolving.schemas.composer.validator

    async def counted(pinned: str, **asked: Any) -> Any:
        compiled.append(pinned)
        return await validator(pinned, **asked)

    monkeypatch.setattr(services.resolving.schemas.composer, "validator", counted)
    found = await verdicts(services, "a", NAMED)
    assert list(found.values()).count(VALID) == list(found.values()).count(INVALID) == 30
    assert len(compiled) == 3 + 1


async def test_a_change_that_is_none_is_refused(services: Services) -> None:
    await services.record("a", schema={"type": "object"})
    await services.record("bare", solution=1)
    with pytest.raises(VibeNotFound):
        await impacts(services, "nothing", NAMED)
    with pytest.raises(SchemaMissing):
        await impacts(services, "bare")
    with pytest.raises(BranchNotFound):
        await impacts(services, "a", NAMED, branch="dev")
    with pytest.raises(InvalidSchema):
        await impacts(services, "a", {"type": "nonsense"})
    with pytest.raises(InvalidField):
        await impacts(services, "a", NAMED, max_vibes=100_001)
    with pytest.raises(InvalidField):
        await impacts(services, "")


async def test_the_same_is_reached_however_little_is_read_at_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await services.record("a", schema={"type": "object"})
    for revision in range(4):
        await services.refine(
            *(
                Draft(type=VibeType.RECORD, id=f"b/{n}", schema=refers("aug:/a"), solution={"name": revision})
                for n in range(4)
            )
        )
        await services.record("a", schema={"type": "object", "title": str(revision)})
    for n in range(6):
        await services.record(f"old/{n}", schema=refers(f"aug:/b/0?{n % 3 + 1}"), solution={})
        await services.record(f"new/{n}", schema=refers(f"aug:/b/{n % 4}"), solution={})
        await services.record(f"both/{n}", schema=refers("aug:/b/0?1", "aug:/a"), solution={})
        await services.record(f"far/{n}", schema=refers(f"aug:/new/{n}"), solution={"name": 1})
    found = await impacts(services, "a", NAMED)
    assert len(found) == 4 + 4 * 6
    whole = {(impact.ref, impact.verdict, impact.depth) for impact in found}
    for few in (0, 1, 100):
        monkeypatch.setattr(reach, "EDGES_AT_ONCE", 2)
        monkeypatch.setattr(reach, "FEW", few)
        parts = await impacts(services, "a", NAMED)
        assert {(impact.ref, impact.verdict, impact.depth) for impact in parts} == whole
        assert [impact.depth for impact in parts] == sorted(impact.depth for impact in parts)


async def test_of_many_versions_the_latest_is_met_first(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await services.record("a", schema={"type": "object"})
    for revision in range(30):
        await services.record("b", schema=refers("aug:/a"), solution={"name": revision})
    monkeypatch.setattr(reach, "EDGES_AT_ONCE", 1)
    pages: list[int] = []
    page = reach.Reach._page

    async def counted(*arguments: Any) -> Any:
        rows = await page(*arguments)
        pages.append(len(rows))
        return rows

    monkeypatch.setattr(reach.Reach, "_page", counted)
    await services.record("c", schema=refers("aug:/a"), solution={})
    call = services.refinery.analyze_impact("a", schema=NAMED, max_vibes=1)
    assert [impact.ref async for impact in call] == ["main@c?1"]
    assert len(pages) == 2
