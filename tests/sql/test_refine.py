"""refinery.refine() itself: each request of a batch gets its own outcome, in linear time."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from refinery_core.errors import CATALOGUE
from refinery_core.postgres.queries import QUERIES
from refinery_core.postgres.verify import verify
from refinery_core.vibe.digests import content_digest
from refinery_core.vibe.documents import from_value
from tests.conftest import Database

AUTHOR = "main@system/genesis?1"
DOCUMENTS = ("context", "schema", "solution")
_ids = itertools.count()


def draft(
    id_: str, *, kind: str = "RECORD", branches: tuple[str, ...] = ("main",), **more: Any
) -> dict[str, Any]:
    return {"type": kind, "id": id_, "branches": branches, **more}


def request(*drafts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"targets": [], "instructions": [], "budgets": [], "pins": []}
    return {
        "request_id": str(uuid4()),
        "request_digest": hashlib.sha256(b"").hexdigest(),
        "principal": "anonymous",
        "author": AUTHOR,
        "drafts": drafts,
        **empty,
        **fields,
    }


def floating(id_: str, branch: str = "main", revision: int | None = None) -> dict[str, Any]:
    return {"reference": f"aug:/{id_}", "branch": branch, "id": id_, "revision": revision}


def schema_of(ref: str) -> dict[str, str]:
    return {"$ref": f"aug:/{ref.removeprefix('main@').partition('?')[0]}", "$refResolved": ref}


def columns(batch: list[dict[str, Any]]) -> tuple[Any, ...]:
    """The arguments of refine(): heads, and the documents of all drafts beside them."""
    heads, documents = [], []
    for asked in batch:
        drafts = []
        for each in asked["drafts"]:
            texts = {name: from_value(each[name]).text for name in DOCUMENTS if name in each}
            digest = content_digest(*(texts.get(name) for name in DOCUMENTS)).hex()
            rest = {name: value for name, value in each.items() if name not in DOCUMENTS}
            drafts.append({"content_digest": digest, **rest})
            documents.append([texts.get(name) for name in DOCUMENTS])
        heads.append({**asked, "drafts": drafts})
    return json.dumps(heads), *([texts[at] for texts in documents] for at in range(3))


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.owner_url)
    yield connection
    await connection.close()


async def refine(connection: asyncpg.Connection, *batch: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    rows = await connection.fetch(QUERIES["refine"], *columns([*batch]), None, None)
    return [(row["outcome"], json.loads(row["answer"] or "{}")) for row in rows]


def said(answers: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Each answer as one text: the refs it made, the reason it was refused for, or its outcome."""
    return [" ".join(answer.get("refs", [answer.get("reason", outcome)])) for outcome, answer in answers]


BATCHES: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "numbers follow each other through a batch": (
        [request(draft("a"), draft("b"), draft("a")), request(draft("a")), request(draft("b"))],
        ["main@a?1 main@b?1 main@a?2", "main@a?3", "main@b?2"],
    ),
    "a refused request leaves no trace for those after it": (
        [
            request(draft("a")),
            request(draft("a"), draft("b", kind="ROLE"), draft("c", expected_revision=7)),
            request(draft("a", expected_revision=1), draft("b"), draft("c", expected_revision=0)),
        ],
        ["main@a?1", "REVISION_CONFLICT", "main@a?2 main@b?1 main@c?1"],
    ),
    "a stale request leaves no trace either": (
        [request(draft("a"), draft("b", foretold="main@b?4")), request(draft("a"), draft("b"))],
        ["stale", "main@a?1 main@b?1"],
    ),
    "the type of an id is what the first of the batch made it": (
        [request(draft("a", kind="ROLE")), request(draft("a")), request(draft("b"), author=floating("a"))],
        ["main@a?1", "TYPE_FIXED", "main@b?1"],
    ),
    "an input means what an earlier request made, by every name of it": (
        [
            request(draft("a")),
            request(draft("a")),
            request(
                draft("b"),
                targets=[floating("a"), "main@a?1", floating("a", revision=2), floating("a", revision=1)],
            ),
        ],
        ["main@a?1", "main@a?2", "main@b?1"],
    ),
    "an input means nothing yet before it is made": (
        [
            request(draft("b"), targets=["main@a?1"]),
            request(draft("a")),
            request(draft("b"), targets=["main@a?2"]),
        ],
        ["UNKNOWN_REFERENCE", "main@a?1", "UNKNOWN_REFERENCE"],
    ),
    "what only a refused request made means nothing": (
        [
            request(draft("a"), draft("c", expected_revision=3)),
            request(draft("b", prototype_ref="main@a?1")),
            request(draft("b"), budgets=[floating("a")]),
            request(draft("b"), instructions=["main@a?1"]),
        ],
        ["REVISION_CONFLICT", "UNKNOWN_REFERENCE", "UNKNOWN_REFERENCE", "UNKNOWN_REFERENCE"],
    ),
    "a pin that an earlier request moved is stale": (
        [
            request(draft("a", schema={})),
            request(
                draft("b", schema=schema_of("main@a?1"), schema_pins=["main@a?1"]),
                pins=[{"branch": "main", "id": "a", "ref": "main@a?1"}],
            ),
            request(draft("a", schema={})),
            request(
                draft("b", schema=schema_of("main@a?1"), schema_pins=["main@a?1"]),
                pins=[{"branch": "main", "id": "a", "ref": "main@a?1"}],
            ),
        ],
        ["main@a?1", "main@b?1", "main@a?2", "stale"],
    ),
    "a draft refers to the one before it, through a request": (
        [
            request(
                draft("a", schema={}, foretold="main@a?1"),
                draft("b", schema=schema_of("main@a?1"), schema_pins=["main@a?1"], foretold="main@b?1"),
                draft("c", schema=schema_of("main@b?1"), schema_pins=["main@b?1"], prototype_ref="main@a?1"),
            )
        ],
        ["main@a?1 main@b?1 main@c?1"],
    ),
    "a draft does not refer to one after it": (
        [request(draft("b", schema=schema_of("main@a?1"), schema_pins=["main@a?1"]), draft("a", schema={}))],
        ["UNKNOWN_REFERENCE"],
    ),
    "a branch that is not there, an author that is none, an unknown author": (
        [
            request(draft("a", branches=("main", "nowhere"))),
            request(draft("a")),
            request(draft("b"), author=floating("a")),
            request(draft("b"), author="main@nobody?1"),
        ],
        ["BRANCH_NOT_FOUND", "main@a?1", "AUTHOR_NOT_ALLOWED", "UNKNOWN_REFERENCE"],
    ),
}


@pytest.mark.parametrize("name", BATCHES)
async def test_each_request_of_a_batch_is_answered_for_itself(
    connection: asyncpg.Connection, database: Database, name: str
) -> None:
    batch, expected = BATCHES[name]
    assert said(await refine(connection, *batch)) == expected
    assert (await verify(database.owner_url)).findings == []


@pytest.mark.parametrize("name", BATCHES)
async def test_a_batch_comes_to_what_its_requests_come_to_one_by_one(
    connection: asyncpg.Connection, name: str
) -> None:
    batch, expected = BATCHES[name]
    assert [said(await refine(connection, asked))[0] for asked in batch] == expected


async def test_an_alias_means_the_vibe_that_an_earlier_request_of_the_batch_made(
    connection: asyncpg.Connection, database: Database
) -> None:
    fork = draft("system/branches/dev", solution={"parent": "main", "fork_position": 1})
    await refine(connection, request(fork))
    answers = await refine(
        connection,
        request(draft("a", branches=("main", "dev"))),
        request(draft("b"), targets=["dev@a?1", floating("a", "dev"), floating("a", "dev", 1)]),
    )
    assert answers[1][1]["target_refs"] == ["main@a?1"] * 3
    assert (await verify(database.owner_url)).findings == []


async def test_of_two_requests_with_one_id_in_a_batch_the_second_finds_the_first_when_it_is_sent_again(
    connection: asyncpg.Connection,
) -> None:
    id_ = str(UUID(int=7))
    first, same, other = (
        request(draft("a"), request_id=id_, request_digest=hashlib.sha256(content).hexdigest())
        for content in (b"1", b"1", b"2")
    )
    assert said(await refine(connection, first, same, other)) == ["main@a?1", "stale", "stale"]
    assert said(await refine(connection, same, other)) == ["replayed", "REQUEST_ID_REUSED"]


async def test_documents_that_are_taken_over_are_copied_from_the_stored_prototype(
    connection: asyncpg.Connection, database: Database
) -> None:
    documents: dict[str, Any] = {"context": {"c": 1}, "schema": {"type": "array"}, "solution": ["s"]}
    texts = [from_value(document).text for document in documents.values()]
    await refine(connection, request(draft("a", **documents)))
    digest = content_digest(*texts).hex()
    copy = draft("b", prototype_ref="main@a?1", inherits=[*documents], content_digest=digest)
    part = draft("c", prototype_ref="main@a?1", inherits=["context"], schema={}, solution=None)
    part["content_digest"] = content_digest(texts[0], "{}", "null").hex()
    await refine(connection, request(copy), request(part))
    rows = await connection.fetch(
        "select context::text, schema::text, solution::text from refinery.vibes"
        " where id = any ('{b,c}') order by id"
    )
    assert [[json.loads(text) for text in row] for row in rows] == [
        [{"c": 1}, {"type": "array"}, ["s"]],
        [{"c": 1}, {}, None],
    ]
    assert (await verify(database.owner_url)).findings == []


async def test_a_refusal_for_want_of_a_right_holds_what_its_sentence_names(
    connection: asyncpg.Connection,
) -> None:
    authority = {"names": ["jwt:https://idp.example#ada"], "root": False}
    role = {"members": authority["names"], "may": [{"do": ["refine"], "ids": ["orders/**"]}]}
    asked = [request(draft("roles/desk", kind="ROLE", role=role, solution=role)) for _ in range(2)]
    await refine(connection, *asked)
    desk = ["main@roles/desk?1", "main@roles/desk?2"]
    answers = await refine(
        connection,
        *(
            request(draft(id_), author=author, authority=authority)
            for id_, author in (
                ("orders/7", AUTHOR),
                ("a", desk[1]),
                ("orders/7", desk[0]),
                ("orders/7", desk[1]),
            )
        ),
    )
    refusals = [CATALOGUE[answer["reason"]](**answer["metadata"]).message for _, answer in answers[:-1]]
    who = "'jwt:https://idp.example#ada'"
    assert refusals == [
        f"{who} may not refine 'orders/7' on 'main' as '{AUTHOR}': the principal does not hold this Role.",
        f"{who} may not refine 'a' on 'main' as '{desk[1]}': none of its rules allows it.",
        f"author_ref: '{desk[0]}' is not in force; write '{desk[1]}', the latest on main.",
    ]
    assert said(answers[-1:]) == ["main@orders/7?1"]


# --- Time in proportion -------------------------------------------------------------------


def fresh() -> str:
    return f"growth/{next(_ids)}"


def many_documents(count: int) -> dict[str, Any]:
    return request(*(draft(fresh(), solution={"text": f"{number:04} " * 780}) for number in range(count)))


def each_by_the_one_before(count: int) -> dict[str, Any]:
    refs = [f"main@{fresh()}?1" for _ in range(count)]
    drafts = [draft(refs[0][5:-2], foretold=refs[0], schema={"title": "x" * 200})]
    for before, ref in itertools.pairwise(refs):
        schema = {"title": "x" * 200, **schema_of(before)}
        drafts.append(
            draft(ref[5:-2], foretold=ref, schema=schema, schema_pins=[before], prototype_ref=before)
        )
    return request(*drafts)


def many_inputs(count: int) -> dict[str, Any]:
    return request(*(draft(fresh()) for _ in range(10)), targets=[floating("system/genesis")] * count)


def many_references(count: int) -> dict[str, Any]:
    names = [f"main@guests/{number}?1" for number in range(count)]
    return request(
        draft(fresh(), schema={"properties": {n: schema_of(n) for n in names}}, schema_pins=names),
    )


GROWING: dict[str, Callable[[int], dict[str, Any]]] = {
    "documents of 4 KB": many_documents,
    "drafts that each refer to the one before": each_by_the_one_before,
    "inputs of 10 drafts": many_inputs,
    "references of a schema": many_references,
}


@pytest.mark.parametrize("what", GROWING)
async def test_a_refine_four_times_as_large_takes_about_four_times_as_long(
    connection: asyncpg.Connection, what: str
) -> None:
    """In CPU time of the database. What grew with the square took sixteen times as long."""
    guests = [draft(f"guests/{number}", schema={}) for number in range(800)]
    await refine(connection, request(*guests))
    spent = _cpu_of(await connection.fetchval("select pg_backend_pid()"))
    seconds: dict[int, float] = {}
    for count in (200, 800):
        runs = []
        for _ in range(3):
            before = spent()
            assert said(await refine(connection, GROWING[what](count)))[0].startswith("main@")
            runs.append(spent() - before)
        seconds[count] = min(runs)
    assert seconds[800] < 8 * seconds[200], seconds


def _cpu_of(pid: int) -> Callable[[], float]:
    """Seconds of CPU that a process took so far; of the clock where the system does not tell."""
    told = Path(f"/proc/{pid}/schedstat")
    if not told.exists():
        return time.perf_counter
    return lambda: int(told.read_text().split()[0]) / 1e9
