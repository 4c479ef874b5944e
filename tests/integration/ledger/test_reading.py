"""A Vibe that a caller may not read is, for it, as if it did not exist."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from ledger_service.candidates import WHOLE_AT_ONCE
from ledger_service.feed import Feed
from ledger_service.servicer import LedgerServicer
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_core.errors import (
    InvalidPageToken,
    PermissionDenied,
    RefinementNotFound,
    RefineryError,
    UnknownReference,
    VibeNotFound,
)
from refinery_core.postgres.database import Database
from refinery_core.serving.drain import Drain
from refinery_core.serving.principal import Caller, set_caller
from refinery_core.stored.composition import Composer
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.model import Context
from refinery_core.vibe.refs import AugUri
from resolver_service.forms import SchemaForm
from resolver_service.schemas import Schemas, Source
from tests.cases.bad_input.rows import document
from tests.integration.ledger.desk import BOB, GENESIS, ROOT, Desk, draft, refused, role

READER = {
    "members": [BOB.principal],
    "may": [
        {"do": ["read"], "ids": ["open/**", "roles/reader", "notes"]},
        {"do": ["read"], "ids": ["live/**"], "branches": ["main"]},
        {"do": ["read"], "ids": ["typed/**"], "types": ["ROLE"]},
        {"do": ["refine"], "ids": ["open/**"]},
    ],
}


class Called:
    """A call without transport: no metadata."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def peer(self) -> str:
        return "test"


class Door:
    """The servicer, asked by somebody."""

    def __init__(self, servicer: LedgerServicer) -> None:
        self.servicer = servicer

    async def ask(self, caller: Caller, method: str, request: Any) -> Any:
        set_caller(caller)
        return await getattr(self.servicer, method)(request, Called())

    async def stream(self, caller: Caller, method: str, request: Any) -> list[Any]:
        set_caller(caller)
        return [answer async for answer in getattr(self.servicer, method)(request, Called())]


@pytest.fixture
async def door(desk: Desk) -> AsyncIterator[Door]:
    async with aclosing(Feed(desk.vibes.database, None)) as feed:
        yield Door(LedgerServicer(desk.refiner, desk.vibes, feed, Drain()))


@pytest.fixture
async def filled(desk: Desk) -> Desk:
    """Open and hidden Vibes that refer to each other."""
    schema = pb.Draft(
        type=vibe_pb2.VIBE_TYPE_RECORD, id="hidden/schema", schema=document({"type": "integer"})
    )
    await desk.refine(ROOT, GENESIS, role("reader", READER))
    await desk.refine(ROOT, GENESIS, draft("open/1"))
    await desk.refine(ROOT, GENESIS, schema)
    await desk.refine(ROOT, GENESIS, draft("hidden/1", schema=document({"$ref": "aug:/hidden/schema"})))
    await desk.refine(
        ROOT, GENESIS, draft("open/2"), draft("hidden/2"), target_refs=["main@hidden/1?1", "main@open/1?1"]
    )
    await desk.refine(ROOT, GENESIS, draft("hidden/3"), target_refs=["main@open/1?1"])
    await desk.refine(ROOT, GENESIS, draft("open/3", schema=document({"$ref": "aug:/hidden/schema"})))
    await desk.branch(ROOT, GENESIS, "dev")
    await desk.refine(ROOT, GENESIS, draft("live/1"), draft("live/2", branches=["dev"]))
    await desk.refine(ROOT, GENESIS, draft("typed/1"), draft("typed/2", {}, "ROLE"))
    return desk


SEEN = {
    "main@roles/reader?1", "main@open/1?1", "main@open/2?1",
    "main@open/3?1", "main@live/1?1", "main@typed/2?1",
}  # fmt: skip


async def test_single_reads_of_the_hidden_are_answered_as_of_the_absent(filled: Desk, door: Door) -> None:
    async def answer(method: str, request: Any) -> tuple[type[RefineryError], str]:
        with pytest.raises(RefineryError) as refusal:
            await door.ask(BOB, method, request)
        return type(refusal.value), refusal.value.message

    for hidden, absent in (
        ("main@hidden/1?1", "main@absent/1?1"),
        ("aug:/hidden/1", "aug:/absent/1"),
        ("aug:/hidden/1?1", "aug:/absent/1?1"),
    ):
        one = await answer("GetVibe", pb.GetVibeRequest(reference=hidden))
        other = await answer("GetVibe", pb.GetVibeRequest(reference=absent))
        assert one == (other[0], other[1].replace("absent", "hidden"))
        for wanted in ([hidden, "main@nothing?1"], ["main@open/1?1", hidden]):
            one = await answer("BatchGetVibes", pb.BatchGetVibesRequest(references=wanted))
            assert one[0] is VibeNotFound
            assert "hidden" in one[1]
    await door.ask(ROOT, "GetVibe", pb.GetVibeRequest(reference="main@hidden/1?1"))
    assert (await answer("GetVibe", pb.GetVibeRequest(reference="main@hidden/1?1")))[0] is VibeNotFound
    digest = (await door.ask(ROOT, "GetVibe", pb.GetVibeRequest(reference="main@hidden/1?1"))).vibe.digest
    one = await answer("GetVibe", pb.GetVibeRequest(digest=digest))
    assert one == (
        VibeNotFound,
        (await answer("GetVibe", pb.GetVibeRequest(digest=bytes(32))))[1].replace("00" * 32, digest.hex()),
    )
    revisions = await answer("ListRevisions", pb.ListRevisionsRequest(id="hidden/1"))
    assert revisions[1] == (await answer("ListRevisions", pb.ListRevisionsRequest(id="absent/1")))[1].replace(
        "absent", "hidden"
    )
    assert (
        await door.ask(BOB, "GetVibe", pb.GetVibeRequest(reference="main@open/1?1"))
    ).vibe.ref == "main@open/1?1"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"view": vibe_pb2.VIBE_VIEW_FULL},
        {"branch": "main"},
        {"id_prefix": ""},
        {"branch": "main", "latest_only": True},
        {"author_ref": GENESIS},
    ],
)
async def test_lists_have_what_may_be_read_and_full_pages(
    filled: Desk, door: Door, fields: dict[str, Any]
) -> None:
    refs: list[str] = []
    token = ""
    while True:
        page = await door.ask(BOB, "ListVibes", pb.ListVibesRequest(page_size=2, page_token=token, **fields))
        refs += [vibe.ref for vibe in page.vibes]
        token = page.next_page_token
        if not token:
            break
        assert len(page.vibes) == 2
    assert {*refs} == SEEN
    assert len(refs) == len(SEEN)


@pytest.mark.parametrize(
    "fields", [{"id_prefix": ""}, {"branch": "main", "latest_only": True}, {"id_prefix": "o"}]
)
async def test_a_page_token_tells_nothing_of_the_hidden(
    filled: Desk, door: Door, fields: dict[str, Any]
) -> None:
    request = pb.ListVibesRequest(page_size=1, **fields)
    page = await door.ask(BOB, "ListVibes", request)
    while page.next_page_token:
        token = page.next_page_token
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        assert b"[" not in raw[:1]
        assert b"hidden" not in raw
        forged = base64.urlsafe_b64encode(orjson.dumps(["", 9, ["hidden/1", 0, 0]])).rstrip(b"=").decode()
        for other in (forged, token[:-2] + ("AA" if token[-2:] != "AA" else "BB")):
            with pytest.raises(InvalidPageToken):
                await door.ask(BOB, "ListVibes", pb.ListVibesRequest(page_size=1, page_token=other, **fields))
        page = await door.ask(BOB, "ListVibes", pb.ListVibesRequest(page_size=1, page_token=token, **fields))


async def test_a_list_of_the_hidden_alone_is_empty(filled: Desk, door: Door) -> None:
    page = await door.ask(BOB, "ListVibes", pb.ListVibesRequest(id_prefix="hidden/"))
    assert (len(page.vibes), page.next_page_token) == (0, "")
    page = await door.ask(BOB, "ListVibes", pb.ListVibesRequest(branch="dev"))
    assert len(page.vibes) == 0
    branches = await door.ask(BOB, "ListBranches", pb.ListBranchesRequest())
    assert [branch.name for branch in branches.branches] == ["main"]
    branches = await door.ask(ROOT, "ListBranches", pb.ListBranchesRequest())
    assert [branch.name for branch in branches.branches] == ["dev", "main"]


async def test_refinements_name_only_what_may_be_read(filled: Desk, door: Door) -> None:
    mixed = (
        await door.ask(BOB, "GetRefinement", pb.GetRefinementRequest(vibe_ref="main@open/2?1"))
    ).refinement
    assert [*mixed.vibe_refs] == ["main@open/2?1"]
    assert [*mixed.target_refs] == ["main@open/1?1"]
    whole = (
        await door.ask(ROOT, "GetRefinement", pb.GetRefinementRequest(vibe_ref="main@open/2?1"))
    ).refinement
    assert len(whole.vibe_refs) == len(whole.target_refs) == 2
    await refused(
        RefinementNotFound,
        door.ask(BOB, "GetRefinement", pb.GetRefinementRequest(vibe_ref="main@hidden/3?1")),
    )
    listed = await door.ask(BOB, "ListRefinements", pb.ListRefinementsRequest())
    assert {ref for one in listed.refinements for ref in one.vibe_refs} == SEEN
    assert "hidden" not in str(listed)


async def test_lineage_upwards_has_a_digest_in_place_of_the_hidden(filled: Desk, door: Door) -> None:
    parts = await door.stream(BOB, "TraceLineage", pb.TraceLineageRequest(reference="main@open/2?1"))
    steps = [step for part in parts for step in part.steps]
    assert [step.ref for step in steps if not step.hidden] == ["main@open/2?1", "main@open/1?1"]
    hidden = [step for step in steps if step.hidden]
    digests = {
        (await door.ask(ROOT, "GetVibe", pb.GetVibeRequest(reference=ref))).vibe.digest
        for ref in ("main@hidden/1?1", GENESIS)
    }
    assert {step.digest for step in hidden} == digests
    assert all(edge.from_ref and not edge.to_ref for step in hidden for edge in step.edges)
    assert "hidden/" not in str(parts)
    assert "genesis" not in str(parts)
    await refused(
        VibeNotFound, door.stream(BOB, "TraceLineage", pb.TraceLineageRequest(reference="main@hidden/1?1"))
    )


async def test_lineage_downwards_leaves_the_hidden_out(filled: Desk, door: Door) -> None:
    down = pb.TraceLineageRequest(reference="main@open/1?1", direction=pb.LINEAGE_DIRECTION_DOWN)
    parts = await door.stream(BOB, "TraceLineage", down)
    assert [step.ref for part in parts for step in part.steps] == ["main@open/1?1", "main@open/2?1"]


async def test_a_watch_sends_what_may_be_read(filled: Desk, door: Door) -> None:
    last = await filled.vibes.database.last_position()
    set_caller(BOB)
    seen: list[str] = []
    called: Any = Called()
    watching: Any = door.servicer.WatchVibes(pb.WatchVibesRequest(), called)
    async with aclosing(watching) as answers:
        async for answer in answers:
            assert "hidden" not in str(answer.refinement)
            seen += [vibe.ref for vibe in answer.vibes]
            if {*seen} == SEEN:
                break
            assert answer.position <= last
    assert len(seen) == len(SEEN)


async def test_a_watch_ends_when_the_right_does(filled: Desk, door: Door) -> None:
    set_caller(BOB)
    watching = asyncio.create_task(door.stream(BOB, "WatchVibes", pb.WatchVibesRequest(id_prefix="open/")))
    await asyncio.sleep(0)
    await filled.refine(ROOT, GENESIS, role("reader", {**READER, "members": []}))
    async with asyncio.timeout(30):
        metadata = await refused(PermissionDenied, watching)
    assert (metadata["verb"], metadata["id"]) == ("read", "open/**")


async def test_nobody_watches_where_it_can_see_nothing(filled: Desk, door: Door) -> None:
    for request in (
        pb.WatchVibesRequest(id_prefix="hidden/"),
        pb.WatchVibesRequest(branch="dev", id_prefix="live/"),
    ):
        await refused(PermissionDenied, door.stream(BOB, "WatchVibes", request))


async def test_a_refine_counts_on_nothing_that_may_not_be_read(filled: Desk) -> None:
    async def refusal(made: pb.Draft, **fields: Any) -> tuple[type[RefineryError], str]:
        with pytest.raises(RefineryError) as refused_:
            await filled.refine(BOB, "aug:/roles/reader", made, **fields)
        return type(refused_.value), refused_.value.message

    for hidden in ("main@hidden/1?1", "aug:/hidden/1", "aug:/hidden/1?1"):
        absent = hidden.replace("hidden", "absent")
        for name in ("target_refs", "instruction_refs", "budget_refs"):
            one, other = [await refusal(draft("open/9"), **{name: [ref]}) for ref in (hidden, absent)]
            assert one[0] is UnknownReference
            assert one[1] == other[1].replace("absent", "hidden")
        one, other = [await refusal(draft("open/9", prototype_ref=ref)) for ref in (hidden, absent)]
        assert one == (UnknownReference, other[1].replace("absent", "hidden"))
    for hidden in (
        "aug:/hidden/schema",
        "aug:main@hidden/schema?1",
        "aug:/hidden/schema?1",
        "aug:/hidden/schema#/type",
    ):
        absent = hidden.replace("hidden", "absent")
        one, other = [
            await refusal(draft("open/9", schema=document({"$ref": ref}))) for ref in (hidden, absent)
        ]
        assert one == (UnknownReference, other[1].replace("absent", "hidden"))
    resolved = {"$ref": "aug:/hidden/schema", "$refResolved": "main@hidden/schema?1"}
    one = await refusal(draft("open/9", schema=document(resolved)))
    assert one[0] is UnknownReference


async def test_whoever_may_read_a_vibe_may_build_on_what_it_is_composed_of(filled: Desk) -> None:
    refined = await filled.refine(BOB, "aug:/roles/reader", draft("open/4", 7, prototype_ref="main@open/3?1"))
    assert refined.vibes[0].schema_refs == ("aug:/hidden/schema",)


async def test_a_replay_is_answered_also_where_its_inputs_are_hidden_by_now(filled: Desk) -> None:
    request_id = uuid.uuid4()
    await filled.refine(
        BOB, "aug:/roles/reader", draft("open/5"), request_id=request_id, target_refs=["main@open/1?1"]
    )
    less = {**READER, "may": [{"do": ["read"], "ids": ["notes"]}, {"do": ["refine"], "ids": ["open/**"]}]}
    await filled.refine(ROOT, GENESIS, role("reader", less))
    again = await filled.refine(
        BOB, "aug:/roles/reader", draft("open/5"), request_id=request_id, target_refs=["main@open/1?1"]
    )
    assert again.replayed


async def test_a_readable_schema_is_composed_from_its_pins_alone(filled: Desk) -> None:
    revised = pb.Draft(
        type=vibe_pb2.VIBE_TYPE_RECORD, id="hidden/schema", schema=document({"type": "string"})
    )
    await filled.refine(ROOT, GENESIS, revised)
    schemas = Schemas(filled.vibes, Composer(filled.vibes), filled.refiner.rights)
    reader = await filled.refiner.rights.reader(BOB)

    async def resolved(*, repin: bool) -> str:
        source = Source(AugUri.parse("aug:/open/3"), None, Context(), repin)
        name = await schemas.name(source, reader)
        return (await schemas.resolve(source, name, SchemaForm.BUNDLED, reader)).schema

    assert '"integer"' in await resolved(repin=False)
    assert (await refused(UnknownReference, resolved(repin=True)))["reference"] == "aug:/hidden/schema"


def counted_queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that are asked from now on."""
    asked: list[str] = []
    fetch = Database.fetch

    async def counted(self: Database, query: str, *arguments: Any) -> Any:
        asked.append(query)
        return await fetch(self, query, *arguments)

    monkeypatch.setattr(Database, "fetch", counted)
    return asked


async def test_many_calls_of_one_caller_read_its_rights_once(
    filled: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights = filled.refiner.rights
    rights.forget()
    asked = counted_queries(monkeypatch)
    readers = await asyncio.gather(*(rights.reader(BOB) for _ in range(10)))
    assert asked == ["roles_held"]
    assert len(set(readers)) == 1


async def test_a_refine_without_inputs_asks_nothing_of_the_database_but_its_commit(
    filled: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled.refine(BOB, "main@roles/reader?1", draft("open/counted/1"))
    asked = counted_queries(monkeypatch)
    await filled.refine(BOB, "main@roles/reader?1", draft("open/counted/2"))
    assert set(asked) <= {"roles_held"}  # Which is remembered for a second.


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of whole Vibes that are read at once from now on."""
    read: list[int] = []
    by_names = Vibes.by_names

    async def counted(self: Vibes, names: Iterable[str]) -> Any:
        read.append(len(wanted := list(names)))
        return await by_names(self, wanted)

    monkeypatch.setattr(Vibes, "by_names", counted)
    return read


async def test_a_page_reads_as_many_whole_vibes_at_once_whatever_is_hidden_among_them(
    filled: Desk, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = [draft(f"{('open', 'hidden')[number % 2]}/mixed/{number}") for number in range(200)]
    after = (await filled.refine(ROOT, GENESIS, *mixed)).refinement.position - 1
    read = counted_reads(monkeypatch)
    request = pb.ListVibesRequest(after_position=after, view=vibe_pb2.VIBE_VIEW_FULL)
    page = await door.ask(BOB, "ListVibes", request)
    assert [vibe.id for vibe in page.vibes] == [f"open/mixed/{number}" for number in range(0, 200, 2)]
    assert read[:6] == [WHOLE_AT_ONCE] * 6


async def test_few_among_many_hidden_do_not_gather_them_all(
    filled: Desk, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = [draft(f"{'hidden' if number % 100 else 'open'}/rare/{number}") for number in range(400)]
    after = (await filled.refine(ROOT, GENESIS, *mixed)).refinement.position - 1
    read = counted_reads(monkeypatch)
    request = pb.ListVibesRequest(after_position=after, view=vibe_pb2.VIBE_VIEW_FULL)
    page = await door.ask(BOB, "ListVibes", request)
    assert [vibe.id for vibe in page.vibes] == [f"open/rare/{number}" for number in range(0, 400, 100)]
    assert read == [2, 1, 1, 0]  # Of 128 candidates each.
