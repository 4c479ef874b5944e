from __future__ import annotations

import asyncio
import base64
import itertools
import json
from typing import Any

import grpc
import orjson
import pytest

from ledger_service import candidates
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_client import Draft, Vibe
from refinery_client.refusals import refusal_from
from refinery_core.errors import (
    BranchNotFound,
    InvalidField,
    InvalidPageToken,
    InvalidReference,
    PositionOutOfRange,
    RefinementNotFound,
    RefineryError,
    VibeNotFound,
)
from refinery_core.vibe.model import Context, VibeType
from tests.cases.seeded import SEEDED, SEEDED_VIBES
from tests.support.ledger import AUTHOR, Ledger, record

OTHER = "main@roles/other?1"


async def populate(ledger: Ledger) -> list[Vibe]:
    """A small world of types, authors, branches and ids; all of its Vibes in ledger order."""
    await ledger.refine(Draft(type=VibeType.ROLE, id="roles/other"))
    await ledger.refine(*(record(f"a/{number}") for number in range(5)))
    await ledger.branch("dev")
    for number in range(4):
        await ledger.refine(record(f"a/{number}"), record(f"b/{number}", branches=["dev"]), author_ref=OTHER)
        await ledger.refine(record(f"a/{number}", branches=["dev", "main"]), branch="dev")
    await ledger.refine(Draft(type=VibeType.PROCESS, id="a"), Draft(type=VibeType.CAPABILITY, id="a/9"))
    await ledger.refine(record("ab"), record("a.b"), record("Z"), author_ref=OTHER)
    return [vibe async for vibe in ledger.refinery.list_vibes(page_size=1_000)]


def matches(vibe: Vibe, last: int, fields: dict[str, Any]) -> bool:
    return (
        fields.get("branch", vibe.branches[0]) in vibe.branches
        and vibe.id.startswith(fields.get("id_prefix", ""))
        and vibe.type == fields.get("type", vibe.type)
        and vibe.author_ref == fields.get("author_ref", vibe.author_ref)
        and fields.get("after_position", 0) < vibe.position <= fields.get("until_position", last)
    )


CHOICES: list[tuple[str, Any]] = [
    ("branch", "dev"),
    ("id_prefix", "a/"),
    ("type", VibeType.RECORD),
    ("author_ref", OTHER),
    ("after_position", SEEDED + 3),
    ("until_position", SEEDED + 10),
]


async def test_every_combination_of_filters_lists_what_matches_once(ledger: Ledger) -> None:
    """With any page size; in ledger order, or by id first where a prefix is asked for."""
    everything = await populate(ledger)
    stored = await ledger.rows("select ref from refinery.vibes order by position, ordinal")
    assert [vibe.ref for vibe in everything] == [row["ref"] for row in stored]
    for count in range(len(CHOICES) + 1):
        for chosen in itertools.combinations(CHOICES, count):
            fields = dict(chosen)
            expected = [vibe for vibe in everything if matches(vibe, everything[-1].position, fields)]
            if "id_prefix" in fields:
                expected.sort(key=lambda vibe: vibe.id)
            for page_size in (3, 1_000):
                listed = ledger.refinery.list_vibes(**fields, page_size=page_size)
                assert [vibe async for vibe in listed] == expected, (fields, page_size)


async def test_latest_only_lists_the_latest_that_the_branch_itself_has(ledger: Ledger) -> None:
    everything = await populate(ledger)
    for count in range(len(CHOICES) + 1):
        for chosen in itertools.combinations(CHOICES, count):
            fields = {"branch": "main", **dict(chosen)}
            if "author_ref" in fields:
                continue
            until = fields.get("until_position", everything[-1].position)
            latest = {
                vibe.id: vibe
                for vibe in everything
                if fields["branch"] in vibe.branches and vibe.position <= until
            }
            expected = [vibe for _, vibe in sorted(latest.items()) if matches(vibe, until, fields)]
            listed = ledger.refinery.list_vibes(**fields, latest_only=True, page_size=2)
            assert [vibe async for vibe in listed] == expected, fields


async def test_lists_carry_documents_only_in_the_full_view(ledger: Ledger) -> None:
    await ledger.record("x", {"n": 1})
    full = [vibe async for vibe in ledger.refinery.list_vibes(id_prefix="x", full=True)]
    basic = [vibe async for vibe in ledger.refinery.list_vibes(id_prefix="x")]
    assert full[0].solution == {"n": 1}
    assert not basic[0].solution
    assert full == [await ledger.refinery.get_vibe("main@x?1")]


async def test_pages_are_of_one_moment_while_writes_go_on(ledger: Ledger) -> None:
    """Without until_position the first page decides; nothing is missed, none comes twice."""
    for number in range(50):
        await ledger.record(f"x/{number % 10}", number)
    before = [vibe async for vibe in ledger.refinery.list_vibes(page_size=1_000)]
    under = sorted((vibe for vibe in before if vibe.id.startswith("x/")), key=lambda vibe: vibe.id)
    latest = [vibe for vibe in under if vibe.revision == 5]
    stop = asyncio.Event()

    async def write() -> int:
        for number in itertools.count():
            if stop.is_set():
                return number
            await ledger.refine(record(f"x/{number % 10}"), record(f"x/{number}/new"), record("0"))
        raise AssertionError

    async def pages(**fields: Any) -> list[Vibe]:
        listed = ledger.refinery.list_vibes(**fields, page_size=3)
        first = [await anext(listed)]  # Read before the first of the writes.
        writing = asyncio.create_task(write())
        first += [vibe async for vibe in listed]
        stop.set()
        assert await writing > 0
        stop.clear()
        return first

    last = await ledger.last_position()
    assert await pages(until_position=last) == before
    assert await pages(id_prefix="x/", until_position=last) == under
    assert await pages(branch="main", id_prefix="x/", latest_only=True, until_position=last) == latest
    ended = [vibe async for vibe in ledger.refinery.list_vibes(page_size=1_000)]
    assert await pages() == ended
    revisions = [vibe async for vibe in ledger.refinery.list_revisions("x/1", page_size=1_000)]
    listed = ledger.refinery.list_revisions("x/1", page_size=2)
    first = [await anext(listed)]
    await ledger.record("x/1")
    assert first + [vibe async for vibe in listed] == revisions


async def test_a_page_is_as_long_as_asked_and_the_last_one_says_so(ledger: Ledger) -> None:
    await ledger.refine(*(record(f"x/{number:03}") for number in range(250)))
    all_ = SEEDED_VIBES + 250
    ask = ledger.stub.ListVibes
    assert len((await ask(pb.ListVibesRequest())).vibes) == 100
    whole = await ask(pb.ListVibesRequest(page_size=2_000))
    assert (len(whole.vibes), whole.next_page_token) == (all_, "")
    exact = await ask(pb.ListVibesRequest(page_size=all_))
    assert (len(exact.vibes), exact.next_page_token) == (all_, "")
    page = await ask(pb.ListVibesRequest(page_size=all_ - 1))
    rest = await ask(pb.ListVibesRequest(page_token=page.next_page_token))
    assert [vibe.ref for vibe in rest.vibes] == [whole.vibes[-1].ref]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(pb.ListVibesRequest(page_size=-1))
    assert isinstance(refusal_from(refused.value), InvalidField)


def forged(token: str) -> list[str]:
    """Tokens that were never given out, the likelier ones first."""
    hash_, until, key = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    contents: list[Any] = [
        [hash_, until, []],
        [hash_, until, [None, *key[1:]]],
        [hash_, until, [[], *key[1:]]],
        [hash_, until, [*key, 1]],
        [hash_, "1", key],
        [hash_, -1, key],
        [hash_, until, [2**70, *key[1:]]],
        [hash_, until, [True, *key[1:]]],
        [hash_, until, key, 1],
        ["0" * 16, until, key],
        [None, None, None],
        {"a": 1},
        1,
        None,
    ]
    written = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in contents]
    return [*written, "x", "!!!!", token[:-1], token[1:], token + "AAAA", "é", "A" * 10_000, "\0"]


async def test_tokens_that_were_not_given_out_for_this_filter_are_refused(ledger: Ledger) -> None:
    await populate(ledger)
    await ledger.branch("dev2")
    lists: list[tuple[Any, Any, list[Any]]] = [
        (
            ledger.stub.ListVibes,
            pb.ListVibesRequest(page_size=1),
            [
                pb.ListVibesRequest(branch="main"),
                pb.ListVibesRequest(id_prefix="a"),
                pb.ListVibesRequest(type=vibe_pb2.VIBE_TYPE_RECORD),
                pb.ListVibesRequest(author_ref=OTHER),
                pb.ListVibesRequest(after_position=1),
                pb.ListVibesRequest(until_position=1),
                pb.ListVibesRequest(branch="main", latest_only=True),
            ],
        ),
        (
            ledger.stub.ListRevisions,
            pb.ListRevisionsRequest(id="a/1", page_size=1),
            [
                pb.ListRevisionsRequest(id="a/2"),
                pb.ListRevisionsRequest(id="a/1", context=vibe_pb2.Context(branch="dev")),
                pb.ListRevisionsRequest(id="a/1", context=vibe_pb2.Context(position=9)),
            ],
        ),
        (
            ledger.stub.ListRefinements,
            pb.ListRefinementsRequest(page_size=1),
            [
                pb.ListRefinementsRequest(author_ref=OTHER),
                pb.ListRefinementsRequest(after_position=1),
                pb.ListRefinementsRequest(until_position=5),
            ],
        ),
        (
            ledger.stub.ListBranches,
            pb.ListBranchesRequest(page_size=1),
            [pb.ListBranchesRequest(name_prefix="d")],
        ),
    ]
    for method, asked, others in lists:
        token = (await method(asked)).next_page_token
        assert token
        asked.page_token = token
        asked.page_size = 2
        await method(asked)
        for other in others:
            other.page_token = token
            await refused_token(method, other)
        for bad in forged(token):
            asked.page_token = bad
            await refused_token(method, asked)


async def refused_token(method: Any, request: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await method(request)
    assert isinstance(refusal_from(refused.value), InvalidPageToken), request


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"branch": "nowhere"}, BranchNotFound),
        ({"branch": "a b"}, InvalidField),
        ({"id_prefix": "a b"}, InvalidField),
        ({"id_prefix": "\x7f"}, InvalidField),
        ({"author_ref": "aug:/roles/other"}, InvalidReference),
        ({"author_ref": "x"}, InvalidReference),
        ({"after_position": -1}, InvalidField),
        ({"until_position": -1}, InvalidField),
        ({"latest_only": True}, InvalidField),
        ({"latest_only": True, "branch": "main", "author_ref": OTHER}, InvalidField),
    ],
)
async def test_a_filter_that_means_nothing_is_refused(
    ledger: Ledger, fields: dict[str, Any], refusal: type[RefineryError]
) -> None:
    with pytest.raises(refusal):
        await anext(aiter(ledger.refinery.list_vibes(**fields)))


# --- Refinements and single Vibes ---------------------------------------------------------


async def test_refinements_are_listed_in_order_by_author_and_range(ledger: Ledger) -> None:
    await populate(ledger)
    last = await ledger.last_position()
    ask = ledger.refinery.list_refinements
    everything = [one async for one in ask(page_size=2)]
    assert [one.position for one in everything] == [*range(1, last + 1)]
    others = [one async for one in ask(author_ref=OTHER, page_size=1)]
    assert others == [one for one in everything if one.author_ref == OTHER]
    some = [one async for one in ask(after_position=3, until_position=7, page_size=3)]
    assert some == everything[3:7]
    some = [one async for one in ask(author_ref=OTHER, after_position=5, until_position=9)]
    assert some == [one for one in everything[5:9] if one.author_ref == OTHER]


async def test_a_refinement_is_found_by_each_of_its_names(ledger: Ledger) -> None:
    refined = await ledger.refine(record("x"), record("y"))
    made = refined.refinement
    assert made is not None
    ask = ledger.refinery.get_refinement
    assert await ask(id=made.id) == made
    assert await ask(request_id=refined.request_id) == made
    assert await ask(position=made.position) == made
    assert await ask(vibe_ref="main@y?1") == made
    for name in (
        {"id": refined.request_id},
        {"request_id": made.id},
        {"position": 9},
        {"vibe_ref": "main@y?2"},
    ):
        with pytest.raises(RefinementNotFound):
            await ask(**name)


async def test_a_vibe_is_found_by_reference_and_by_digest(ledger: Ledger) -> None:
    made = await ledger.record("x", {"n": 1})
    found = await ledger.refinery.get_vibe("aug:/x")
    assert found.digest == made.digest
    assert await ledger.refinery.get_vibe(digest=made.digest) == found
    with pytest.raises(VibeNotFound):
        await ledger.refinery.get_vibe(digest=bytes(32))
    with pytest.raises(InvalidField):
        await ledger.refinery.get_vibe(digest=b"short")
    with pytest.raises(InvalidField):
        await ledger.refinery.get_vibe(digest=made.digest, context=Context("main"))


async def test_an_answer_is_given_again_only_to_the_same_question(ledger: Ledger) -> None:
    await ledger.branch("dev")
    await ledger.refine(record("x", branches=["main", "dev"], solution={"n": 1}))
    ask = ledger.stub.GetVibe
    for times in (1, 2):
        full = (await ask(pb.GetVibeRequest(reference="main@x?1"))).vibe
        assert full.solution.json == '{"n":1}'
        basic = pb.GetVibeRequest(reference="main@x?1", view=vibe_pb2.VIBE_VIEW_BASIC)
        assert not (await ask(basic)).vibe.HasField("solution")
        request = pb.GetVibeRequest(reference="main@x?1")
        value = (await ask(request, metadata=(("document-form", "value"),))).vibe.solution.value
        assert value.struct_value.fields["n"].number_value == 1
        assert (await ask(pb.GetVibeRequest(reference="dev@x?1"))).vibe == full
        assert (await ask(pb.GetVibeRequest(digest=full.digest))).vibe == full
        assert (await ask(pb.GetVibeRequest(reference="aug:/x"))).vibe.revision == times
        nowhere = pb.GetVibeRequest(reference="main@x?1", context=vibe_pb2.Context(branch="nowhere"))
        for refused, refusal in (
            (nowhere, BranchNotFound),
            (pb.GetVibeRequest(reference="main@x?1", view=9), InvalidField),  # type: ignore[arg-type]
            (pb.GetVibeRequest(reference="main@x?9"), VibeNotFound),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await ask(refused)
            assert isinstance(refusal_from(error.value), refusal)
        await ledger.record("x", {"n": 2})


async def test_many_vibes_are_found_in_the_order_asked_from_one_moment(ledger: Ledger) -> None:
    await ledger.record("x")
    names = ["aug:/x", AUTHOR, "main@x?1", "aug:/x?1", "aug:main@x?1", AUTHOR]
    found = [vibe.ref for vibe in await ledger.refinery.batch_get_vibes(names)]
    assert found == ["main@x?1", AUTHOR, "main@x?1", "main@x?1", "main@x?1", AUTHOR]
    with pytest.raises(VibeNotFound) as refused:
        await ledger.refinery.batch_get_vibes([*names, "aug:/y"])
    assert refused.value.metadata == {"reference": "aug:/y"}
    for count in (0, 1_001):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await ledger.stub.BatchGetVibes(pb.BatchGetVibesRequest(references=[AUTHOR] * count))
        assert isinstance(refusal_from(error.value), InvalidField)


async def test_an_answer_that_is_too_long_is_cut_between_vibes_and_asked_for_again(ledger: Ledger) -> None:
    for number in range(8):
        await ledger.record(f"x/{number}", "x" * 1_000_000)
    names = [f"main@x/{number}?1" for number in range(8)]
    answer = await ledger.stub.BatchGetVibes(pb.BatchGetVibesRequest(references=names))
    assert [vibe.ref for vibe in answer.vibes] == names[:3]
    assert [vibe.ref for vibe in await ledger.refinery.batch_get_vibes(names)] == names
    listed = ledger.refinery.list_vibes(id_prefix="x/", full=True)
    assert [vibe.ref async for vibe in listed] == names
    for _ in range(4):
        await ledger.record("x/0", "\N{SNOWMAN}" * 330_000)
    listed = ledger.refinery.list_revisions("x/0", full=True)
    assert [vibe.revision async for vibe in listed] == [5, 4, 3, 2, 1]


async def test_revisions_of_what_nobody_made_are_refused(ledger: Ledger) -> None:
    made = await ledger.record("x")
    ask = ledger.refinery.list_revisions
    for id_, context, refusal in (
        ("y", None, VibeNotFound),
        ("x", Context("main", made.position - 1), VibeNotFound),
        ("x", Context("main", made.position + 1), PositionOutOfRange),
        ("x", Context("nowhere"), BranchNotFound),
        ("", None, InvalidField),
    ):
        with pytest.raises(refusal):
            await anext(aiter(ask(id_, context=context)))


async def test_a_page_ends_after_so_much_that_does_not_match_and_the_next_one_goes_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "MOST_LEFT_OUT", 3)
    role = Draft(type=VibeType.ROLE, id="roles/late")
    await ledger.refine(*(record(f"a/{number}") for number in range(10)), role)
    request = pb.ListVibesRequest(author_ref=AUTHOR, type=vibe_pb2.VIBE_TYPE_ROLE, after_position=SEEDED)
    page = await ledger.stub.ListVibes(request)
    assert (list(page.vibes), bool(page.next_page_token)) == ([], True)
    shapes: list[dict[str, Any]] = [
        {"author_ref": AUTHOR},
        {"branch": "main"},
        {"id_prefix": "ro", "branch": "main"},
        {"latest_only": True, "branch": "main"},
    ]
    for shape in shapes:
        listed = ledger.refinery.list_vibes(type=VibeType.ROLE, after_position=SEEDED, **shape)
        assert [vibe.ref async for vibe in listed] == ["main@roles/late?1"]
