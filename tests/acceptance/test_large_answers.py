"""Everything in the ledger is answered, whatever its size: in parts, on pages, or cut and marked so."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
import pytest

from ledger_service.wire import refine_command
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_core.wire import MAX_MESSAGE_BYTES
from tests.acceptance.test_watches import next_of, watch
from tests.cases.seeded import SEEDED
from tests.support.ledger import AUTHOR, Ledger, record

LONG = "b" * 400
FULL, BASIC = vibe_pb2.VIBE_VIEW_FULL, vibe_pb2.VIBE_VIEW_BASIC
FORMS = [(view, form) for view in (BASIC, FULL) for form in ((), (("document-form", "value"),))]

REFINEMENT = """
insert into refinery.refinements (id, position, request_id, request_digest, principal, time, author_ref,
                                  target_refs, instruction_refs, budget_refs, chain)
select refinery.refinement_id($1), max(position) + 1, $1, $2, 'test', max(time), $3, $4, '{}', '{}',
       sha256('c')
from refinery.refinements returning position
"""
VIBES = """
insert into refinery.vibes (ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal,
                            context, schema, solution, content_digest, digest)
select 'main@' || id || '?1', id, $5, 1, 'RECORD', $2, refinery.refinement_id($3), $1, n,
       $6, $7, $6, sha256('c'), sha256(convert_to(id, 'UTF8'))
from generate_series(0, $4::integer - 1) n, lateral (select format('large/%s/%s', $1::bigint, n)) as i (id)
"""


@dataclass(frozen=True)
class Shape:
    """A Vibe from before answers were bounded, or one that is large only in some form."""

    vibes: int = 1
    targets: int = 0
    references: int = 0
    branches: int = 1
    numbers: int = 0
    """The numbers of values in the context, and in the solution."""

    @property
    def schema(self) -> dict[str, Any] | None:
        """A schema with as many long references."""
        refs = (f"aug:/{LONG}/{number}" for number in range(self.references))
        pinned = [{"$ref": ref, "$refResolved": AUTHOR} for ref in refs]
        return {"allOf": pinned} if pinned else None

    @property
    def names(self) -> list[str]:
        """Its branches."""
        return ["main", *(f"{LONG}/{number}" for number in range(1, self.branches))]


SHAPES = {
    "9,999 long targets": Shape(targets=9_999),
    "25 Vibes with 400 long references": Shape(vibes=25, references=400),
    "1,000 Vibes on 16 long branches": Shape(vibes=1_000, branches=16),
    "all at once": Shape(vibes=12, targets=9_999, references=400, branches=16),
    "a Vibe of which each part is large": Shape(references=2_100, numbers=500_000),
    "8 Vibes that are larger as values": Shape(vibes=8, numbers=30_000),
}


@dataclass(frozen=True)
class Large:
    """A ledger in which a large refinement stands between two small ones."""

    ledger: Ledger
    shape: Shape
    request: pb.RefineRequest
    position: int

    @property
    def refs(self) -> list[str]:
        """The refs of its Vibes."""
        return [f"main@large/{self.position}/{number}?1" for number in range(self.shape.vibes)]

    def check(self, message: Any) -> None:
        """The message can be sent."""
        assert message.ByteSize() <= MAX_MESSAGE_BYTES

    def check_refinement(self, refinement: vibe_pb2.Refinement) -> None:
        """Its lists are whole, or a beginning of them, and that is said."""
        whole = [TARGET] * self.shape.targets
        assert list(refinement.target_refs) == whole[: len(refinement.target_refs)]
        assert list(refinement.vibe_refs) == self.refs[: len(refinement.vibe_refs)]
        cut = (len(refinement.target_refs), len(refinement.vibe_refs)) < (len(whole), len(self.refs))
        assert refinement.truncated == cut
        assert not cut or refinement.ByteSize() > 100_000

    def check_vibe(self, vibe: vibe_pb2.Vibe, *, full: bool) -> None:
        """Its references are whole, or a beginning of them; its documents are there."""
        assert vibe.truncated == (len(vibe.schema_refs) < self.shape.references)
        assert not vibe.truncated or full
        assert vibe.HasField("schema") == (full and self.shape.references > 0)
        assert vibe.HasField("solution") == (full and self.shape.numbers > 0)


TARGET = f"main@{'t' * 460}?1"


async def insert(ledger: Ledger, shape: Shape) -> Large:
    """Write it as refine() did before the size of a refine was bounded."""
    request = pb.RefineRequest(
        request_id=str(uuid.uuid4()),
        author_ref=AUTHOR,
        drafts=[pb.Draft(type=vibe_pb2.VIBE_TYPE_RECORD, id="large")],
    )
    command = refine_command(request)
    numbers = f"[{','.join('1' * shape.numbers)}]" if shape.numbers else None
    connection = await asyncpg.connect(ledger.database.owner_url)
    try:
        schema = None if shape.schema is None else orjson.dumps(shape.schema).decode()
        async with connection.transaction():
            targets = [TARGET] * shape.targets
            position = await connection.fetchval(
                REFINEMENT, command.request_id, command.digest, AUTHOR, targets
            )
            await connection.execute(
                VIBES, position, AUTHOR, command.request_id, shape.vibes, shape.names, numbers, schema
            )
    finally:
        await connection.close()
    return Large(ledger, shape, request, position)


@pytest.fixture(params=[*SHAPES.values()], ids=[*SHAPES])
async def large(ledger: Ledger, request: pytest.FixtureRequest) -> Large:
    await ledger.record("before")
    made = await insert(ledger, request.param)
    await ledger.record("after")
    return made


async def test_a_replay_and_get_refinement_answer_what_fits(large: Large) -> None:
    stub = large.ledger.stub
    replayed = await stub.Refine(large.request)
    large.check(replayed)
    assert replayed.replayed
    large.check_refinement(replayed.refinement)
    assert [vibe.ref for vibe in replayed.vibes] == large.refs[: len(replayed.vibes)]
    assert replayed.vibes
    assert replayed.truncated == (len(replayed.vibes) < large.shape.vibes)
    got = await stub.GetRefinement(pb.GetRefinementRequest(position=large.position))
    large.check(got)
    large.check_refinement(got.refinement)


async def test_lists_end_their_pages_where_they_are_full(large: Large) -> None:
    stub = large.ledger.stub
    refinements = pb.ListRefinementsRequest(page_size=1_000)
    positions = []
    while True:
        page = await stub.ListRefinements(refinements)
        large.check(page)
        positions += [one.position for one in page.refinements]
        if not page.next_page_token:
            break
        refinements.page_token = page.next_page_token
    assert positions == [*range(1, large.position + 2)]


async def test_vibes_are_listed_in_any_form(large: Large) -> None:
    stub = large.ledger.stub
    for view, metadata in FORMS:
        found: list[str] = []
        request = pb.ListVibesRequest(page_size=1_000, view=view, id_prefix="large/")
        while True:
            page = await stub.ListVibes(request, metadata=metadata)
            large.check(page)
            for vibe in page.vibes:
                large.check_vibe(vibe, full=view == FULL)
            found += [vibe.ref for vibe in page.vibes]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert sorted(found) == sorted(large.refs)
        asked = pb.BatchGetVibesRequest(references=large.refs, view=view)
        answer = await stub.BatchGetVibes(asked, metadata=metadata)
        large.check(answer)
        assert [vibe.ref for vibe in answer.vibes] == large.refs[: len(answer.vibes)] != []
        one = pb.GetVibeRequest(reference=large.refs[0], view=view)
        got = await stub.GetVibe(one, metadata=metadata)
        large.check_vibe(got.vibe, full=view == FULL)
        revisions = pb.ListRevisionsRequest(id=got.vibe.id, view=view)
        assert len((await stub.ListRevisions(revisions, metadata=metadata)).vibes) == 1


async def test_a_watch_passes_it(large: Large) -> None:
    for view, metadata in FORMS:
        found: list[str] = []
        request = pb.WatchVibesRequest(after_position=large.position - 2, view=view)
        call = large.ledger.stub.WatchVibes(request, metadata=metadata)
        try:
            position = 0
            while position <= large.position:
                answer = await next_of(call)
                large.check(answer)
                position = answer.position
                if answer.refinement.position == large.position:
                    large.check_refinement(answer.refinement)
                    for vibe in answer.vibes:
                        large.check_vibe(vibe, full=view == FULL)
                    found += [vibe.ref for vibe in answer.vibes]
        finally:
            call.cancel()
        assert found == large.refs


@pytest.mark.parametrize("shape", [SHAPES["all at once"]])
async def test_those_who_watch_when_it_is_committed_pass_it_too(ledger: Ledger, shape: Shape) -> None:
    async with watch(ledger.stub, SEEDED) as call, watch(ledger.stub, SEEDED, view=FULL) as full:
        first = await ledger.record("before")
        for one in (call, full):
            assert (await next_of(one)).position == first.position
        large = await insert(ledger, shape)
        for one in (call, full):
            found: list[str] = []
            position = 0
            while position < large.position:
                answer = await next_of(one)
                large.check(answer)
                position = answer.position
                found += [vibe.ref for vibe in answer.vibes]
            assert found == large.refs


async def test_a_page_of_branches_ends_where_it_is_full(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from refinery_core import pages

    for number in range(5):
        await ledger.branch(f"dev/{number}")
    monkeypatch.setattr(pages.Room.__init__, "__defaults__", (100,))
    page = await ledger.stub.ListBranches(pb.ListBranchesRequest(page_size=1_000))
    assert 0 < len(page.branches) < 6
    assert [one.name async for one in ledger.refinery.list_branches()] == [
        *(f"dev/{number}" for number in range(5)),
        "main",
    ]


async def test_a_refine_with_small_answers_is_not_cut(ledger: Ledger) -> None:
    made = await ledger.refine(*(record(f"a/{number}") for number in range(1_000)))
    assert (made.truncated, len(made.vibes)) == (False, 1_000)
    assert made.refinement is not None
    assert not made.refinement.truncated
