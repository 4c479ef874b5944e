"""Every number of one table, through the ledger and back: SQL, gRPC, both forms, digests, and the clients."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
import grpc
import orjson
import pytest
from google.protobuf.struct_pb2 import Value

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_client import JsonText
from refinery_client.refusals import refusal_from
from refinery_core.errors import InvalidDocument, SolutionInvalid
from refinery_core.vibe import digests, documents
from tests.cases.numbers import KEPT, REFUSED
from tests.support.ledger import AUTHOR, Ledger, record

VALUE = (("document-form", "value"),)


async def test_every_number_is_answered_as_it_was_kept_and_can_be_sent_again(ledger: Ledger) -> None:
    refined = await ledger.refine(
        *(
            record(f"n/{at}", context=JsonText(f"[{literal}]"), solution=JsonText(literal))
            for at, literal in enumerate(KEPT)
        )
    )
    for (literal, canonical), made in zip(KEPT.items(), refined.vibes, strict=True):
        digest = digests.content_digest(f"[{canonical}]", None, canonical)
        assert made.content_digest == digest, literal
        kept = documents.parse(literal)
        vibe = await ledger.refinery.get_vibe(made.ref)
        assert (vibe.solution, vibe.context) == (kept.value, [kept.value])
        assert type(vibe.solution) is type(kept.value)
        for metadata in ((), VALUE):
            answer = await ledger.stub.GetVibe(pb.GetVibeRequest(reference=made.ref), metadata=metadata)
            again = await send(ledger, answer.vibe.context, answer.vibe.solution)
            assert again.content_digest == digest, (literal, metadata)


async def send(ledger: Ledger, context: vibe_pb2.Document, solution: vibe_pb2.Document) -> vibe_pb2.Vibe:
    draft = pb.Draft(type=vibe_pb2.VIBE_TYPE_RECORD, id="again", context=context, solution=solution)
    request = pb.RefineRequest(request_id=str(uuid.uuid4()), author_ref=AUTHOR, drafts=[draft])
    return (await ledger.stub.Refine(request)).vibes[0]


async def test_every_number_that_would_change_is_refused_where_it_stands(ledger: Ledger) -> None:
    before = await ledger.last_position()
    for literal, problem in REFUSED.items():
        with pytest.raises(InvalidDocument) as refused:
            await ledger.refine(record("n", solution=JsonText(f'{{"a": [0, {literal}]}}')))
        said = refused.value.metadata
        assert (said["path"], said["problem"]) == ("$.a[1]", problem), literal
    assert await ledger.last_position() == before


async def test_jsonb_keeps_what_every_number_is(ledger: Ledger) -> None:
    connection = await asyncpg.connect(ledger.database.app_url)
    try:
        for literal, canonical in KEPT.items():
            stored = await connection.fetchval("select $1::text::jsonb::text", canonical)
            assert documents.restore(stored).text == canonical, literal
    finally:
        await connection.close()


async def test_the_value_form_refuses_what_a_double_may_have_rounded(ledger: Ledger) -> None:
    null = vibe_pb2.Document(json="null")
    kept = await send(ledger, null, vibe_pb2.Document(value=Value(number_value=2.0**53 - 1)))
    assert kept.content_digest == digests.content_digest("null", None, "9007199254740991")
    for number in (2.0**53, -(2.0**53), 2.0**60, 1e20):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await send(ledger, null, vibe_pb2.Document(value=Value(number_value=number)))
        assert isinstance(refusal_from(error.value), InvalidDocument)


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"maximum": 9223372036854775807}, 9223372036854775807, 9223372036854775808),
        ({"minimum": -9223372036854775807}, -9223372036854775807, -9223372036854775808),
        ({"const": 9007199254740993}, 9007199254740993, 9007199254740992),
        ({"enum": [18446744073709551615, "x"]}, 18446744073709551615, 18446744073709551614),
        ({"multipleOf": 3}, 18446744073709551615, 18446744073709551614),
        ({"uniqueItems": True}, [9007199254740992, 9007199254740993], [9007199254740993, 9007199254740993]),
    ],
)
async def test_a_stored_schema_judges_all_digits(
    ledger: Ledger, schema: dict[str, Any], valid: Any, invalid: Any
) -> None:
    refined = await ledger.refine(record("s", schema=schema))
    ref = refined.vibes[0].ref
    assert (await ledger.refinery.get_vibe(ref)).schema == schema
    using = {"$ref": f"aug:{ref}"}
    for number, judged in ((valid, True), (invalid, False)):
        own = record("own", schema=schema, solution=JsonText(orjson.dumps(number).decode()))
        other = record("other", schema=using, solution=number)
        for draft in (own, other):
            if judged:
                await ledger.refine(draft)
                continue
            with pytest.raises(SolutionInvalid):
                await ledger.refine(draft)
