from __future__ import annotations

from typing import Any

import pytest

from refinery.resolver.v1 import resolver_service_pb2 as pb
from refinery_client import Dependency, Draft
from refinery_core.errors import InvalidField, InvalidPageToken, QuestionTooLarge, VibeNotFound
from refinery_core.vibe.model import Context, VibeType
from resolver_service import downwards
from tests.integration.conftest import Services


def refers(*references: str) -> dict[str, Any]:
    return {"allOf": [{"$ref": reference} for reference in references]}


async def family(services: Services) -> None:
    """
    top → left, right and bottom?1; left → bottom; right → bottom?1: a diamond with a short cut.
    """
    await services.record("bottom", schema={"type": "object"})
    await services.record("left", schema=refers("aug:/bottom"))
    await services.record("right", schema=refers("aug:/bottom?1"))
    await services.record("top", schema=refers("aug:/left", "aug:/right"))


async def dependencies(services: Services, reference: str, **asked: Any) -> list[Dependency]:
    return [found async for found in services.refinery.list_dependencies(reference, **asked)]


async def dependents(services: Services, reference: str, **asked: Any) -> list[Dependency]:
    return [found async for found in services.refinery.list_dependents(reference, **asked)]


async def test_dependencies_are_listed_nearest_first_each_once(services: Services) -> None:
    await family(services)
    direct = [Dependency("main@left?1", 1, floating=True), Dependency("main@right?1", 1, floating=True)]
    assert await dependencies(services, "aug:/top") == direct
    transitive = await dependencies(services, "aug:/top", transitive=True)
    assert transitive == [*direct, Dependency("main@bottom?1", 2, floating=True)]
    assert await dependencies(services, "aug:/right", transitive=True) == [
        Dependency("main@bottom?1", 1, floating=False)
    ]
    assert await dependencies(services, "aug:/bottom", transitive=True) == []


async def test_dependents_are_listed_nearest_first_each_once(services: Services) -> None:
    await family(services)
    direct = [Dependency("main@left?1", 1, floating=True), Dependency("main@right?1", 1, floating=False)]
    assert await dependents(services, "aug:/bottom") == direct
    transitive = await dependents(services, "aug:/bottom", transitive=True)
    assert transitive == [*direct, Dependency("main@top?1", 2, floating=True)]
    assert await dependents(services, "aug:/top", transitive=True) == []


async def test_the_moment_bounds_dependents(services: Services) -> None:
    await family(services)
    past = (await services.refinery.resolve_reference("aug:/top")).read_position
    await services.record("late", schema=refers("aug:/bottom"))
    assert len(await dependents(services, "aug:/bottom")) == 3
    then = Context(as_of=past)
    assert len(await dependents(services, "aug:/bottom", context=then)) == 2
    before = Context(as_of=past - 1)
    assert len(await dependents(services, "aug:/bottom", context=before, transitive=True)) == 2


async def test_any_revision_that_the_context_sees_can_be_asked_for_at_once(services: Services) -> None:
    await family(services)
    await services.fork("dev")
    await services.record("bottom", schema={"type": "array"})
    await services.record("left", schema=refers("aug:/bottom"))
    await services.record("bottom", branch="dev", schema={"type": "string"})
    await services.record("own", branch="dev", schema=refers("aug:/bottom"))

    async def refs(**asked: Any) -> list[str]:
        return [found.ref for found in await dependents(services, "aug:/bottom", **asked)]

    assert await refs() == ["main@left?2"]
    assert await refs(any_revision=True) == ["main@left?1", "main@left?2", "main@right?1"]
    assert await refs(any_revision=True, transitive=True) == [
        "main@left?1",
        "main@left?2",
        "main@right?1",
        "main@top?1",
    ]
    seen_from_dev = await refs(any_revision=True, context=Context("dev"))
    assert seen_from_dev == ["dev@own?1", "main@left?1", "main@right?1"]
    named = services.refinery.list_dependents("aug:~dev/bottom", any_revision=True)
    assert [found.ref async for found in named] == seen_from_dev


@pytest.mark.parametrize("transitive", [False, True])
async def test_pages_go_on_where_the_last_one_ended_whatever_is_committed_meanwhile(
    services: Services, *, transitive: bool
) -> None:
    await services.record("base", schema={"type": "object"})
    await services.refine(
        *(Draft(type=VibeType.RECORD, id=f"n/{n:02}", schema=refers("aug:/base")) for n in range(25))
    )
    await services.refine(
        *(Draft(type=VibeType.RECORD, id=f"m/{n:02}", schema=refers(f"aug:/n/{n:02}")) for n in range(25))
    )
    request = pb.ListDependentsRequest(reference="aug:/base", page_size=10, transitive=transitive)
    found: list[str] = []
    while True:
        page = await services.resolver.ListDependents(request)
        found += [one.ref for one in page.dependents]
        await services.record("n/99", schema=refers("aug:/base?1"))
        await services.record("base", schema={"type": "object"})
        if not page.next_page_token:
            break
        assert len(page.dependents) == 10
        request.page_token = page.next_page_token
    near = [f"main@n/{n:02}?1" for n in range(25)]
    assert found == near + ([f"main@m/{n:02}?1" for n in range(25)] if transitive else [])


async def test_dependencies_come_in_pages_too(services: Services) -> None:
    await family(services)
    for transitive in (False, True):
        whole = await dependencies(services, "aug:/top", transitive=transitive)
        assert await dependencies(services, "aug:/top", transitive=transitive, page_size=1) == whole


async def test_a_token_is_good_for_its_own_filter_only(services: Services) -> None:
    await family(services)
    call, patience = services.resolver.ListDependents, services.refinery._patience
    first = await call(pb.ListDependentsRequest(reference="aug:/bottom", page_size=1))
    token = first.next_page_token
    assert token
    for request in (
        pb.ListDependentsRequest(reference="main@bottom?1", page_token=token),
        pb.ListDependentsRequest(reference="aug:/bottom", page_token=token, transitive=True),
        pb.ListDependentsRequest(reference="aug:/bottom", page_token=token, any_revision=True),
        pb.ListDependentsRequest(reference="aug:/bottom", page_token="nonsense"),
    ):
        with pytest.raises(InvalidPageToken):
            await patience.call(call, request, None)
    with pytest.raises(InvalidPageToken):
        other = pb.ListDependenciesRequest(reference="aug:/bottom", page_token=token)
        await patience.call(services.resolver.ListDependencies, other, None)


async def test_what_means_nothing_is_refused(services: Services) -> None:
    with pytest.raises(VibeNotFound):
        await dependents(services, "aug:/nothing")
    with pytest.raises(VibeNotFound):
        await dependencies(services, "main@nothing?1")
    with pytest.raises(InvalidField):
        await dependencies(services, "")
    with pytest.raises(InvalidField):
        await dependents(services, "aug:/nothing", page_size=-1)


async def test_the_same_is_listed_however_little_is_read_at_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await services.record("base", schema={"type": "object"})
        await services.record("near", schema=refers("aug:/base"))
    for n in range(7):
        await services.record(f"n/{n}", schema=refers(f"aug:/base?{n % 3 + 1}", "aug:/near"))
        await services.record(f"m/{n}", schema=refers("aug:/n/0", f"aug:/n/{n}", "aug:/near?1"))
    asked = [
        (reference, {"any_revision": any_revision, "transitive": True})
        for reference in ("aug:/base", "aug:/base?1", "aug:/near")
        for any_revision in (False, True)
    ]
    whole = [await dependents(services, reference, **how) for reference, how in asked]
    assert {one.depth for one in whole[0]} == {1, 2, 3}
    for name, size in (("PAGE", 2), ("VIBES_AT_ONCE", 2), ("FEW", 2)):
        monkeypatch.setattr(downwards, name, size)
    for size in (1, 3):
        for (reference, how), expected in zip(asked, whole, strict=True):
            moved = Context(as_of=(await services.refinery.resolve_reference("aug:/base")).read_position)
            assert await dependents(services, reference, page_size=size, context=moved, **how) == expected
            await services.record("elsewhere", schema={})


@pytest.mark.parametrize("most", [2, 5])
async def test_more_than_can_be_put_in_order_is_refused_but_for_what_is_near(
    services: Services, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    await services.record("base", schema={"type": "object"})
    for n in range(4):
        await services.record(f"n/{n}", schema=refers("aug:/base"))
        await services.record(f"m/{n}", schema=refers(f"aug:/n/{n}"))
    monkeypatch.setattr(downwards, "MOST", most)
    monkeypatch.setattr(downwards, "PAGE", 1)
    near = [f"main@n/{n}?1" for n in range(4)]
    assert [one.ref for one in await dependents(services, "aug:/base")] == near
    found: list[str] = []
    with pytest.raises(QuestionTooLarge):
        async for one in services.refinery.list_dependents("aug:/base", transitive=True, page_size=2):
            found.append(one.ref)  # noqa: PERF401 - it ends with a refusal
    assert found == near[:2]
