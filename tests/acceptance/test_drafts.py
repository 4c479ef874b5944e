from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import pytest

from refinery_client import ABSENT, Draft, JsonText, Refined
from refinery_core.errors import (
    AuthorNotAllowed,
    InvalidField,
    InvalidSchema,
    RefinementNotFound,
    RefineryError,
    RevisionConflict,
    SchemaMissing,
    SolutionInvalid,
    TypeFixed,
    UnknownReference,
    VibeNotFound,
)
from refinery_core.vibe.model import VibeType
from tests.support.ledger import AUTHOR, Ledger, record

OBJECT = {"type": "object"}
PARTS = {"context": {"from": "a"}, "schema": OBJECT, "solution": {"n": 1}}


async def documents(ledger: Ledger, ref: str) -> dict[str, Any]:
    vibe = await ledger.refinery.get_vibe(ref)
    return {name: getattr(vibe, name) for name in PARTS}


# --- Documents ----------------------------------------------------------------------------


async def test_an_absent_document_and_a_null_are_different_things(ledger: Ledger) -> None:
    absent, null, empty = (
        await ledger.refine(record("absent")),
        await ledger.refine(record("null", context=None, solution=None)),
        await ledger.refine(record("empty", context={}, schema=True, solution=[])),
    )
    assert await documents(ledger, absent.vibes[0].ref) == dict.fromkeys(PARTS, ABSENT)
    assert await documents(ledger, null.vibes[0].ref) == {"context": None, "schema": ABSENT, "solution": None}
    assert await documents(ledger, empty.vibes[0].ref) == {"context": {}, "schema": True, "solution": []}
    assert len({refined.vibes[0].content_digest for refined in (absent, null, empty)}) == 3


async def test_a_null_solution_is_validated_and_an_absent_one_is_not(ledger: Ledger) -> None:
    await ledger.refine(record("x", schema=OBJECT))
    with pytest.raises(SolutionInvalid):
        await ledger.refine(record("x", schema=OBJECT, solution=None))
    await ledger.refine(record("x", schema={"type": "null"}, solution=None))


async def test_a_solution_that_does_not_satisfy_its_schema_is_refused_with_its_paths(ledger: Ledger) -> None:
    schema = {"properties": {"age": {"minimum": 0}}, "required": ["name"]}
    with pytest.raises(SolutionInvalid) as refused:
        await ledger.refine(record("good"), record("x", schema=schema, solution={"age": -1}))
    assert refused.value.metadata["field"] == "drafts[1].solution"
    paths = {(one.instance_path, one.schema_path) for one in refused.value.violations}
    assert paths == {("/age", "/properties/age/minimum"), ("", "/required")}


# --- Prototypes ---------------------------------------------------------------------------


@pytest.mark.parametrize("given", [(), ("context",), ("schema",), ("solution",), (*PARTS,)])
async def test_a_draft_takes_over_what_it_leaves_out(ledger: Ledger, given: tuple[str, ...]) -> None:
    await ledger.refine(record("old", **PARTS))
    own = {name: {"n": 2} if name != "schema" else {"required": ["n"]} for name in given}
    made = (await ledger.refine(record("new", prototype_ref="aug:/old", **own))).vibes[0]
    assert await documents(ledger, made.ref) == PARTS | own
    assert (await ledger.refinery.get_vibe(made.ref)).prototype_ref == "main@old?1"


@pytest.mark.parametrize("part", [*PARTS])
async def test_a_null_is_given_and_not_taken_over(ledger: Ledger, part: str) -> None:
    await ledger.refine(record("old", **(PARTS | {"schema": ABSENT})))
    null = {part: True if part == "schema" else None}
    made = (await ledger.refine(record("new", prototype_ref="main@old?1", **null))).vibes[0]
    assert await documents(ledger, made.ref) == PARTS | {"schema": ABSENT} | null


async def test_what_a_prototype_does_not_have_stays_absent(ledger: Ledger) -> None:
    await ledger.refine(record("old", context=1))
    made = (await ledger.refine(record("old", prototype_ref="aug:/old"))).vibes[0]
    assert await documents(ledger, made.ref) == {"context": 1, "schema": ABSENT, "solution": ABSENT}


async def test_what_is_taken_over_is_validated_again(ledger: Ledger) -> None:
    await ledger.refine(record("old", **PARTS))
    with pytest.raises(SolutionInvalid):
        await ledger.refine(record("new", prototype_ref="aug:/old", solution=1))
    with pytest.raises(SolutionInvalid):
        await ledger.refine(record("new", prototype_ref="aug:/old", schema=False))


async def test_a_schema_that_is_taken_over_keeps_its_pins_unless_repin_is_asked_for(ledger: Ledger) -> None:
    await ledger.refine(record("part", schema={"type": "object"}))
    schema = {"$ref": "aug:/part", "allOf": [{"$ref": "aug:/part?1"}]}
    await ledger.refine(record("old", schema=schema))
    await ledger.refine(record("part", schema={"type": "object", "title": "2"}))

    kept = (await ledger.refine(record("new", prototype_ref="aug:/old"))).vibes[0]
    pinned = {"$ref": "aug:/part", "$refResolved": "main@part?1"}
    exact = {"$ref": "aug:/part?1", "$refResolved": "main@part?1"}
    assert (await ledger.refinery.get_vibe(kept.ref)).schema == {**pinned, "allOf": [exact]}

    renewed = (await ledger.refine(record("new", prototype_ref="aug:/new", repin=True))).vibes[0]
    pinned["$refResolved"] = "main@part?2"
    assert (await ledger.refinery.get_vibe(renewed.ref)).schema == {**pinned, "allOf": [exact]}


async def test_a_pin_that_is_sent_is_kept_and_has_to_be_true(ledger: Ledger) -> None:
    for _ in range(2):
        await ledger.refine(record("part", schema=OBJECT), record("other", schema=OBJECT))
    made = await ledger.refine(record("x", schema={"$ref": "aug:/part", "$refResolved": "main@part?1"}))
    assert (await ledger.refinery.get_vibe(made.vibes[0].ref)).schema["$refResolved"] == "main@part?1"
    bad: list[tuple[dict[str, str], type[RefineryError]]] = [
        ({"$ref": "aug:/part", "$refResolved": "main@other?1"}, InvalidSchema),
        ({"$ref": "aug:/part?2", "$refResolved": "main@part?1"}, InvalidSchema),
        ({"$ref": "aug:/part", "$refResolved": "main@part?9"}, UnknownReference),
        ({"$ref": "aug:/part", "$refResolved": "nonsense"}, InvalidSchema),
        ({"$refResolved": "main@part?1"}, InvalidSchema),
    ]
    for schema, refusal in bad:
        with pytest.raises(refusal):
            await ledger.refine(record("x", schema=schema))


# --- Drafts that refer to each other ------------------------------------------------------


async def test_a_floating_reference_to_an_earlier_draft_means_that_draft(ledger: Ledger) -> None:
    await ledger.refine(record("part", schema=False))
    refined = await ledger.refine(
        record("before", schema={"$ref": "aug:/part"}),
        record("part", schema=OBJECT),
        record("after", schema={"$ref": "aug:/part"}, solution={}),
        record("part", schema={"type": "string"}),
        record("last", schema={"$ref": "aug:~main/part"}, solution="text"),
    )
    refs = [vibe.ref for vibe in refined.vibes]
    assert refs == [
        "main@before?1",
        "main@part?2",
        "main@after?1",
        "main@part?3",
        "main@last?1",
    ]
    pins = {vibe.id: vibe.schema.get("$refResolved") for vibe in await ledger.refinery.batch_get_vibes(refs)}
    assert pins == {
        "before": "main@part?1",
        "part": None,
        "after": "main@part?2",
        "last": "main@part?3",
    }


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


async def test_a_later_draft_is_not_seen_by_an_earlier_one(ledger: Ledger) -> None:
    with pytest.raises(UnknownReference) as refused:
        await ledger.refine(record("x", schema={"$ref": "aug:/part"}), record("part", schema=OBJECT))
    assert refused.value.metadata == {"field": "drafts[0].schema", "reference": "aug:/part"}


async def test_a_draft_sees_an_earlier_one_only_where_the_branch_does(ledger: Ledger) -> None:
    await ledger.refine(record("part", schema=OBJECT))
    await ledger.branch("dev")
    refined = await ledger.refine(
        record("part", branches=["dev"], schema={"type": "string"}),
        record("on-main", schema={"$ref": "aug:/part"}, solution={}),
        record("on-dev", schema={"$ref": "aug:~dev/part"}, solution="text"),
    )
    vibes = await ledger.refinery.batch_get_vibes([vibe.ref for vibe in refined.vibes])
    assert [vibe.schema.get("$refResolved") for vibe in vibes] == [None, "main@part?1", "dev@part?2"]


async def test_foretold_numbers_are_right_however_many_foretell_them_at_once(ledger: Ledger) -> None:
    async def one(number: int) -> Refined:
        drafts = (
            record("part", schema={"title": f"{number}", "type": "object"}),
            record(f"user/{number}", schema={"$ref": "aug:/part"}, solution={}),
            record("part", schema={"$ref": "aug:/part"}),
        )
        return await ledger.refine(*drafts)

    for refined in await asyncio.gather(*(one(number) for number in range(40))):
        first, user, second = await ledger.refinery.batch_get_vibes([vibe.ref for vibe in refined.vibes])
        assert second.revision == first.revision + 1
        assert user.schema["$refResolved"] == second.schema["$refResolved"] == first.ref


# --- Conditions ---------------------------------------------------------------------------


async def test_expected_revision_is_a_condition_on_the_latest(ledger: Ledger) -> None:
    await ledger.refine(record("x", expected_revision=0))
    await ledger.refine(record("x", expected_revision=1))
    await ledger.refine(record("x"))
    for wrong in (0, 1, 2, 4):
        with pytest.raises(RevisionConflict) as refused:
            await ledger.refine(record("y"), record("x", expected_revision=wrong))
        assert refused.value.metadata == {
            "field": "drafts[1].expected_revision",
            "id": "x",
            "current": "3",
            "expected": str(wrong),
        }
    with pytest.raises(InvalidField):
        await ledger.refine(record("x", expected_revision=-1))
    await ledger.refine(record("x", expected_revision=3), record("x", expected_revision=4))


async def test_expected_revision_counts_what_the_draft_s_branches_see(ledger: Ledger) -> None:
    await ledger.record("x")
    await ledger.branch("dev")
    await ledger.record("x")
    await ledger.refine(record("x", branches=["dev"], expected_revision=1))
    await ledger.refine(record("x", branches=["dev", "main"], expected_revision=2))
    with pytest.raises(RevisionConflict):
        await ledger.refine(record("x", branches=["dev"], expected_revision=2))


async def test_of_many_who_expect_the_same_revision_one_is_right(ledger: Ledger) -> None:
    for revision in range(5):
        draft = record("x", expected_revision=revision)
        results = await asyncio.gather(*(ledger.refine(draft) for _ in range(20)), return_exceptions=True)
        kinds = sorted(type(result).__name__ for result in results)
        assert kinds == ["Refined"] + ["RevisionConflict"] * 19


async def test_the_type_of_an_id_is_that_of_its_first_revision_on_every_branch(ledger: Ledger) -> None:
    await ledger.branch("dev")
    await ledger.record("x")
    for draft in (record("x"), record("x", branches=["dev"])):
        with pytest.raises(TypeFixed) as refused:
            await ledger.refine(replace(draft, type=VibeType.ROLE))
        assert refused.value.metadata == {
            "field": "drafts[0].type",
            "id": "x",
            "type": "RECORD",
            "asked": "ROLE",
        }
    with pytest.raises(TypeFixed):
        await ledger.refine(record("new"), Draft(type=VibeType.PROCESS, id="new"))


async def test_of_many_who_make_an_id_of_two_types_at_once_one_type_wins(ledger: Ledger) -> None:
    for number in range(20):
        drafts = [Draft(type=kind, id=f"x/{number}") for kind in (VibeType.RECORD, VibeType.ROLE)] * 2
        results = await asyncio.gather(*(ledger.refine(draft) for draft in drafts), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["Refined"] * 2 + ["TypeFixed"] * 2


@pytest.mark.parametrize("kind", [*VibeType])
async def test_only_a_role_or_a_process_can_be_an_author(ledger: Ledger, kind: VibeType) -> None:
    actor = (await ledger.refine(Draft(type=kind, id="actor"))).vibes[0].ref
    if kind in (VibeType.ROLE, VibeType.PROCESS):
        made = await ledger.refine(record("x"), author_ref="aug:/actor")
        assert made.vibes[0].author_ref == actor
        return
    for author in (actor, "aug:/actor"):
        with pytest.raises(AuthorNotAllowed) as refused:
            await ledger.refine(record("x"), author_ref=author)
        assert refused.value.metadata == {"ref": actor, "type": kind}


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("author_ref", {"author_ref": "main@nobody?1"}),
        ("target_refs[1]", {"target_refs": [AUTHOR, "aug:/nothing"]}),
        ("instruction_refs[0]", {"instruction_refs": ["aug:/system/genesis?2"]}),
        ("budget_refs[0]", {"budget_refs": ["main@x?1"]}),
    ],
)
async def test_an_input_that_does_not_exist_is_refused_by_name(
    ledger: Ledger, field: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(UnknownReference) as refused:
        await ledger.refine(record("x"), **fields)
    assert refused.value.metadata["field"] == field


async def test_a_reference_to_what_has_no_schema_is_refused(ledger: Ledger) -> None:
    await ledger.record("plain")
    with pytest.raises(SchemaMissing):
        await ledger.refine(record("x", schema={"$ref": "aug:/plain"}))


# --- All or nothing -----------------------------------------------------------------------


async def test_one_bad_draft_of_many_leaves_nothing_behind(ledger: Ledger) -> None:
    before = await ledger.last_position()
    bad = [
        record("y", expected_revision=3),
        Draft(type=VibeType.ROLE, id="x/7"),
        record("y", schema=OBJECT, solution=1),
        record("y", schema={"$ref": "aug:/nothing"}),
        record("y", prototype_ref="main@nothing?1"),
        record("y", branches=["nowhere"]),
        record("y", solution=JsonText("{")),
        record(""),
    ]
    for draft in bad:
        with pytest.raises(RefineryError) as refused:
            await ledger.refine(*(record(f"x/{number}") for number in range(50)), draft)
        assert "drafts[50]" in refused.value.message or refused.value.reason == "BRANCH_NOT_FOUND"
    for table in ("vibes", "vibe_refs", "vibe_branches", "refinements"):
        rows = await ledger.rows(f"select from refinery.{table} where position > $1", before)
        assert rows == []
    with pytest.raises(VibeNotFound):
        await ledger.ref("aug:/x/0")


async def test_a_thousand_drafts_are_one_refinement_and_1001_are_refused(ledger: Ledger) -> None:
    drafts = [record(f"x/{number}", solution=number) for number in range(1_000)]
    refined = await ledger.refine(*drafts)
    assert refined.refinement is not None
    assert [vibe.id for vibe in refined.vibes] == [draft.id for draft in drafts]
    assert {vibe.position for vibe in refined.vibes} == {refined.refinement.position}
    with pytest.raises(InvalidField):
        await ledger.refine(*drafts, record("more"))
    with pytest.raises(InvalidField):
        await ledger.refine(*drafts, target_refs=[AUTHOR] * 11)


async def test_validate_only_answers_what_would_be_and_writes_nothing(ledger: Ledger) -> None:
    await ledger.refine(record("part", schema=OBJECT))
    before = await ledger.last_position()
    fields: dict[str, Any] = {"request_id": uuid.uuid4(), "target_refs": ["aug:/part"]}
    drafts = (record("part", schema=OBJECT), record("x", schema={"$ref": "aug:/part"}, solution={}))
    forecast = await ledger.refine(*drafts, validate_only=True, **fields)
    assert forecast.refinement is None
    assert [vibe.ref for vibe in forecast.vibes] == ["main@part?2", "main@x?1"]
    assert await ledger.last_position() == before
    with pytest.raises(RefinementNotFound):
        await ledger.refinery.get_refinement(request_id=fields["request_id"])
    with pytest.raises(VibeNotFound):
        await ledger.ref("main@x?1")

    committed = await ledger.refine(*drafts, **fields)
    assert not committed.replayed
    assert [vibe.digest for vibe in committed.vibes] == [vibe.digest for vibe in forecast.vibes]


@pytest.mark.parametrize(
    ("draft", "refusal"),
    [
        (record("x", expected_revision=1), RevisionConflict),
        (Draft(type=VibeType.RECORD, id="role"), TypeFixed),
        (record("x", schema=OBJECT, solution=1), SolutionInvalid),
        (record("x", schema={"$ref": "aug:/nothing"}), UnknownReference),
    ],
)
async def test_validate_only_refuses_what_would_be_refused(
    ledger: Ledger, draft: Draft, refusal: type[RefineryError]
) -> None:
    await ledger.refine(Draft(type=VibeType.ROLE, id="role"))
    with pytest.raises(refusal):
        await ledger.refine(draft, validate_only=True)
