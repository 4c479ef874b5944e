from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from refinery_core.errors import (
    BranchExists,
    BranchNotFound,
    InvalidField,
    PositionOutOfRange,
    RefineryError,
    RequestIdReused,
    VibeNotFound,
)
from refinery_core.vibe.model import Branch, Context
from tests.cases.seeded import FIRST, SEEDED
from tests.support.ledger import AUTHOR, Ledger, record


async def revisions(ledger: Ledger, id_: str, branch: str, as_of: int | None = None) -> list[str]:
    """The revisions of an id that a branch sees, oldest first, one to a page."""
    listed = ledger.refinery.list_revisions(id_, context=Context(branch, as_of), page_size=1)
    return [vibe.ref async for vibe in listed][::-1]


async def missing(ledger: Ledger, reference: str, branch: str = "main", as_of: Any = None) -> bool:
    with pytest.raises(VibeNotFound):
        await ledger.ref(reference, branch, as_of)
    return True


async def test_numbers_on_a_branch_follow_the_inherited_ones(ledger: Ledger) -> None:
    await ledger.record("x")
    await ledger.record("x")
    await ledger.branch("dev")
    assert (await ledger.record("x")).ref == "main@x?3"
    assert (await ledger.record("x", branch="dev")).ref == "dev@x?3"
    assert (await ledger.record("x", branch="dev")).ref == "dev@x?4"
    assert (await ledger.record("new", branch="dev")).ref == "dev@new?1"
    assert (await ledger.record("new")).ref == "main@new?1"
    assert await revisions(ledger, "x", "main") == ["main@x?1", "main@x?2", "main@x?3"]
    assert await revisions(ledger, "x", "dev") == ["main@x?1", "main@x?2", "dev@x?3", "dev@x?4"]


async def test_a_number_means_what_the_branch_sees_and_a_ref_means_the_same_everywhere(
    ledger: Ledger,
) -> None:
    await ledger.record("x")
    await ledger.branch("dev")
    await ledger.record("x")
    await ledger.record("x")
    await ledger.record("x", branch="dev")
    assert await ledger.ref("aug:/x?1", "dev") == "main@x?1"
    assert await ledger.ref("aug:/x?2", "dev") == "dev@x?2"
    assert await missing(ledger, "aug:/x?3", "dev")
    assert await ledger.ref("aug:/x", "dev") == "dev@x?2"
    assert await ledger.ref("aug:/x", "main") == "main@x?3"
    assert await ledger.ref("aug:~dev/x", "main") == "dev@x?2"
    assert await ledger.ref("aug:~dev/x?1", "main") == "main@x?1"
    assert await ledger.ref("aug:~main/x", "dev") == "main@x?3"
    for branch in ("main", "dev"):
        assert await ledger.ref("main@x?3", branch) == "main@x?3"
        assert await ledger.ref("aug:main@x?2", branch, as_of=1) == "main@x?2"
        assert await missing(ledger, "dev@x?1", branch)
        assert await missing(ledger, "dev@x?3", branch)


async def test_the_past_of_a_branch_is_seen_by_position_and_by_time(ledger: Ledger) -> None:
    one = await ledger.record("x")
    fork = await ledger.branch("dev")
    two = await ledger.record("x")
    own = await ledger.record("x", branch="dev")
    last = await ledger.record("x", branch="dev")

    assert await missing(ledger, "aug:/x", "dev", one.position - 1)
    for moment in (one.position, fork, two.position, own.time - timedelta(microseconds=1)):
        assert await ledger.ref("aug:/x", "dev", moment) == "main@x?1"
    for moment in (own.position, own.time, last.time - timedelta(microseconds=1)):
        assert await ledger.ref("aug:/x", "dev", moment) == "dev@x?2"
    for moment in (last.position, last.time, last.time + timedelta(days=400)):
        assert await ledger.ref("aug:/x", "dev", moment) == "dev@x?3"
    assert await ledger.ref("aug:/x", "main", one.time) == "main@x?1"
    assert await ledger.ref("aug:/x", "main", two.time) == "main@x?2"
    assert await missing(ledger, "aug:/x", "main", one.time - timedelta(microseconds=1))
    assert await missing(ledger, "aug:/x?2", "dev", own.position - 1)
    assert await revisions(ledger, "x", "dev", own.position) == ["main@x?1", "dev@x?2"]
    with pytest.raises(PositionOutOfRange) as refused:
        await ledger.ref("aug:/x", "dev", last.position + 1)
    assert refused.value.metadata["last"] == str(last.position)


async def test_a_branch_can_fork_in_the_past(ledger: Ledger) -> None:
    one = await ledger.record("x")
    two = await ledger.record("x")
    await ledger.record("x")
    assert await ledger.branch("by/position", fork=one.position) == one.position
    assert await ledger.branch("by/time", fork=two.time) == two.position
    assert await ledger.ref("aug:/x", "by/position") == "main@x?1"
    assert await ledger.ref("aug:~by%2Ftime/x") == "main@x?2"
    assert (await ledger.record("x", branch="by/position")).ref == "by/position@x?2"
    assert (await ledger.record("x", branch="by/time")).ref == "by/time@x?3"


async def test_a_branch_of_a_branch_sees_both_up_to_their_forks(ledger: Ledger) -> None:
    await ledger.record("a")
    first = await ledger.record("b")
    await ledger.branch("dev")
    await ledger.record("a")
    await ledger.record("b", branch="dev")
    await ledger.branch("dev/sub", parent="dev")
    await ledger.record("b", branch="dev")
    await ledger.record("b")
    assert await ledger.ref("aug:/a", "dev/sub") == "main@a?1"
    assert await ledger.ref("aug:/b", "dev/sub") == "dev@b?2"
    assert (await ledger.record("b", branch="dev/sub")).ref == "dev/sub@b?3"
    assert await revisions(ledger, "b", "dev/sub") == ["main@b?1", "dev@b?2", "dev/sub@b?3"]
    assert await revisions(ledger, "b", "dev") == ["main@b?1", "dev@b?2", "dev@b?3"]

    early = await ledger.branch("early", parent="dev", fork=first.position)
    assert early == first.position
    assert await ledger.ref("aug:/b", "early") == "main@b?1"
    assert (await ledger.record("b", branch="early")).ref == "early@b?2"


async def test_a_vibe_on_two_branches_has_one_ref_and_an_alias(ledger: Ledger) -> None:
    await ledger.branch("dev")
    for _ in range(5):
        await ledger.record("x")
    await ledger.record("x", branch="dev")
    both = (await ledger.refine(record("x", branches=["main", "dev"], solution="both"))).vibes[0]
    assert (both.ref, both.branches, both.revision) == ("main@x?6", ("main", "dev"), 6)

    for name in ("dev@x?6", "aug:dev@x?6", "aug:~dev/x?6", "aug:~dev/x", "main@x?6", "aug:/x"):
        found = await ledger.refinery.get_vibe(name)
        assert (found.ref, found.solution) == ("main@x?6", "both")
    assert [vibe.ref for vibe in await ledger.refinery.batch_get_vibes(["dev@x?6", "dev@x?1"])] == [
        "main@x?6",
        "dev@x?1",
    ]
    assert await missing(ledger, "dev@x?2")
    assert await revisions(ledger, "x", "dev") == ["dev@x?1", "main@x?6"]
    made = await ledger.refinery.get_refinement(vibe_ref="dev@x?6")
    assert made.vibe_refs == ("main@x?6",)

    user = await ledger.record("user", target_refs=["dev@x?6", "aug:~dev/x"])
    made = await ledger.refinery.get_refinement(vibe_ref=user.ref)
    assert set(made.target_refs) == {"main@x?6"}
    assert (await ledger.record("x", branch="dev")).ref == "dev@x?7"
    assert (await ledger.record("x")).ref == "main@x?7"


async def test_a_role_and_a_prototype_and_a_schema_are_known_by_their_alias_and_kept_by_their_ref(
    ledger: Ledger,
) -> None:
    await ledger.branch("dev")
    await ledger.record("s")
    await ledger.refine(record("s", branches=["main", "dev"], schema={"type": "object"}))
    schema = {"$ref": "aug:~dev/s"}
    draft = record("user", schema=schema, prototype_ref="dev@s?2", solution={})
    made = (await ledger.refine(draft)).vibes[0]
    found = await ledger.refinery.get_vibe(made.ref)
    assert found.prototype_ref == "main@s?2"
    assert found.schema == {"$ref": "aug:~dev/s", "$refResolved": "main@s?2"}
    exact = record("exact", schema={"$ref": "aug:dev@s?2"})
    made = (await ledger.refine(exact)).vibes[0]
    assert (await ledger.refinery.get_vibe(made.ref)).schema["$refResolved"] == "main@s?2"


async def test_a_branch_that_nobody_made_is_refused_everywhere(ledger: Ledger) -> None:
    await ledger.record("x")
    ask = ledger.refinery
    context = Context("nowhere")
    calls = [
        ledger.record("x", branch="nowhere"),
        ledger.refine(record("x", branches=["main", "nowhere"])),
        ledger.refine(record("x", schema={"$ref": "aug:~nowhere/x"})),
        ledger.refine(record("x", prototype_ref="aug:~nowhere/x")),
        ask.get_vibe("aug:/x", context=context),
        ask.get_vibe("aug:~nowhere/x"),
        ask.get_vibe("main@x?1", context=context),
        ask.batch_get_vibes(["main@x?1"], context=context),
        anext(aiter(ask.list_revisions("x", context=context))),
        anext(aiter(ask.list_vibes(branch="nowhere"))),
        anext(aiter(ask.trace_lineage("main@x?1", context=context))),
        ledger.branch("dev", parent="nowhere"),
    ]
    for refusal in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(refusal, BranchNotFound), refusal
        assert refusal.metadata == {"branch": "nowhere"}


@pytest.mark.parametrize(
    "fields",
    [
        {"target_refs": ["main@x?1", "aug:~nowhere/x"]},
        {"instruction_refs": ["aug:~nowhere/x?1"]},
        {"budget_refs": ["aug:/x"], "branch": "nowhere"},
        {"author_ref": "aug:~nowhere/system/genesis"},
    ],
)
async def test_inputs_on_a_branch_that_nobody_made_are_refused_as_such(
    ledger: Ledger, fields: dict[str, Any]
) -> None:
    await ledger.record("x")
    with pytest.raises(BranchNotFound) as refused:
        await ledger.refine(record("y", branches=["main"]), **fields)
    assert refused.value.metadata == {"branch": "nowhere"}


async def test_a_branch_is_a_vibe_with_author_and_place(ledger: Ledger) -> None:
    await ledger.record("x")
    created = await ledger.refinery.create_branch("dev/x", author_ref="aug:/system/genesis")
    assert created.branch == Branch("dev/x", "main", FIRST, "main@system/branches/dev/x?1")
    vibe = await ledger.refinery.get_vibe("main@system/branches/dev/x?1")
    assert vibe.solution == {"parent": "main", "fork_position": FIRST}
    assert (vibe.author_ref, vibe.position) == (AUTHOR, FIRST + 1)
    assert created.refinement.vibe_refs == (vibe.ref,)


async def test_create_branch_is_done_once_however_often_it_is_sent(ledger: Ledger) -> None:
    same = uuid.uuid4()

    async def create() -> object:
        return (await ledger.refinery.create_branch("dev", author_ref=AUTHOR, request_id=same)).branch

    answers = await asyncio.gather(*(create() for _ in range(10)))
    await ledger.record("x")
    answers.append(await create())
    assert answers == [answers[0]] * 11
    with pytest.raises(RequestIdReused):
        await ledger.refinery.create_branch("other", author_ref=AUTHOR, request_id=same)
    with pytest.raises(RequestIdReused):
        await ledger.refinery.create_branch("dev", author_ref=AUTHOR, request_id=same, fork=1)


async def test_one_of_many_who_create_a_branch_at_once_does(ledger: Ledger) -> None:
    for name in "abcdefghij":
        results = await asyncio.gather(*(ledger.branch(name) for _ in range(20)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, BaseException)]
        assert [type(refusal) for refusal in refused] == [BranchExists] * 19


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"name": "main"}, BranchExists),
        ({"name": ""}, InvalidField),
        ({"name": "a//b"}, InvalidField),
        ({"name": "dev", "fork": 0}, InvalidField),
        ({"name": "dev", "fork": -1}, InvalidField),
        ({"name": "dev", "fork": 99}, PositionOutOfRange),
        ({"name": "x" * 477}, InvalidField),
    ],
)
async def test_a_branch_that_cannot_be_is_refused(
    ledger: Ledger, fields: dict[str, str], refusal: type[RefineryError]
) -> None:
    with pytest.raises(refusal):
        await ledger.branch(**fields)
    assert await ledger.last_position() == SEEDED


async def test_branches_are_listed_by_name(ledger: Ledger) -> None:
    for name in ("dev/b", "dev/a", "dev2", "a"):
        await ledger.branch(name)
    ask = ledger.refinery.list_branches
    assert [one.name async for one in ask(page_size=2)] == ["a", "dev/a", "dev/b", "dev2", "main"]
    assert [one.name async for one in ask(name_prefix="dev/", page_size=1)] == ["dev/a", "dev/b"]
    assert [one async for one in ask(name_prefix="main")] == [Branch("main", None, None, None)]


async def test_two_drafts_of_one_id_on_two_branches_are_two_vibes(ledger: Ledger) -> None:
    await ledger.branch("dev")
    refined = await ledger.refine(
        record("x"), record("x", branches=["dev"]), record("x", branches=["dev", "main"])
    )
    assert [vibe.ref for vibe in refined.vibes] == ["main@x?1", "dev@x?1", "dev@x?2"]
    assert await ledger.ref("main@x?2") == "dev@x?2"
    assert await ledger.ref("aug:/x") == "dev@x?2"
