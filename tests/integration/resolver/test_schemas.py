from __future__ import annotations

import asyncio
from typing import Any

import grpc
import jsonschema_rs
import orjson
import pytest

from refinery.resolver.v1 import resolver_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_client import Draft, SchemaForm
from refinery_core.errors import (
    BranchNotFound,
    InvalidDocument,
    InvalidField,
    InvalidReference,
    InvalidSchema,
    ResolutionTooDeep,
    ResolutionTooLarge,
    SchemaMissing,
    UnknownReference,
    VibeNotFound,
)
from refinery_core.vibe.model import Context, Pin, VibeType
from resolver_service.forms import SchemaForm as Form
from tests.integration.conftest import Services


def refers(*ids: str) -> dict[str, Any]:
    return {"allOf": [{"$ref": f"aug:/{id_}"} for id_ in ids]}


async def layers(services: Services) -> None:
    """c is composed from b, which is composed from a."""
    await services.record("a", schema={"required": ["one"]})
    await services.record("b", schema=refers("a"))
    await services.record("c", schema=refers("b"))


async def test_a_stored_schema_is_answered_in_each_form(services: Services) -> None:
    await layers(services)
    resolve = services.refinery.resolve_schema
    pinned = await resolve("aug:/c", form=SchemaForm.PINNED)
    assert pinned.schema == {"allOf": [{"$ref": "aug:/b", "$refResolved": "main@b?1"}]}
    embedded = await resolve("main@c?1", form=SchemaForm.EMBEDDED)
    assert embedded.schema["allOf"][0]["$refResolved"] == "main@b?1"
    (b,) = embedded.schema["allOf"][0]["allOf"]
    assert b["allOf"][0]["allOf"] == [{"required": ["one"]}]
    bundled = await resolve("main@c?1")
    validator = jsonschema_rs.validator_for(bundled.schema, offline=True)
    assert validator.is_valid({"one": 1})
    assert not validator.is_valid({})
    for answer in (pinned, embedded, bundled):
        assert answer.ref == "main@c?1"
        assert answer.pins == (Pin("aug:/b", "main@b?1"),)
        assert answer.dependencies == ("main@a?1", "main@b?1")


def test_forms_have_the_numbers_of_the_contract() -> None:
    numbers = [int(pb.SchemaForm.Value(f"SCHEMA_FORM_{form.name}")) for form in Form]
    assert numbers == [form.value for form in Form]


async def test_a_schema_that_is_not_stored_is_pinned_in_its_context(services: Services) -> None:
    await layers(services)
    past = await services.refinery.resolve_reference("aug:/c")
    await services.fork("dev")
    await services.record("a", branch="dev", schema={"required": ["two"]})
    await services.record("a", schema={"required": ["three"]})
    schema = {"items": {"$ref": "aug:/a"}}

    async def pins(branch: str, as_of: int | None = None) -> tuple[Pin, ...]:
        answer = await services.refinery.resolve_schema(schema=schema, context=Context(branch, as_of))
        assert answer.ref is None
        assert answer.dependencies == tuple(pin.ref for pin in answer.pins)
        return answer.pins

    assert await pins("main") == (Pin("aug:/a", "main@a?2"),)
    assert await pins("dev") == (Pin("aug:/a", "dev@a?2"),)
    assert await pins("main", past.read_position) == (Pin("aug:/a", "main@a?1"),)


async def test_the_answer_for_a_ref_never_changes_by_a_byte_while_its_schemas_are_revised(
    services: Services,
) -> None:
    await layers(services)

    async def answers() -> list[bytes]:
        numbers = (pb.SCHEMA_FORM_PINNED, pb.SCHEMA_FORM_EMBEDDED, pb.SCHEMA_FORM_BUNDLED)
        requests = [pb.ResolveSchemaRequest(reference="main@c?1", form=number) for number in numbers]
        messages = [await services.resolver.ResolveSchema(request) for request in requests]
        return [message.SerializeToString(deterministic=True) for message in messages]

    async def revise() -> None:
        for number in range(20):
            await services.record("a", schema={"required": [f"key{number}"]})
            await services.record("b", schema=refers("a"))

    first = await answers()
    revising = asyncio.create_task(revise())
    while not revising.done():
        assert await answers() == first
    await revising
    services.resolving.answers._entries.clear()
    assert await answers() == first


@pytest.fixture
def asked(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that the resolver asks from now on."""
    queries: list[str] = []
    fetch = services.store.fetch

    async def noting(query: str, *arguments: Any) -> Any:
        queries.append(query)
        return await fetch(query, *arguments)

    monkeypatch.setattr(services.store, "fetch", noting)
    return queries


@pytest.mark.parametrize("form", SchemaForm)
async def test_a_stored_schema_is_one_read_when_cold_and_none_when_hot(
    services: Services, asked: list[str], form: SchemaForm
) -> None:
    await layers(services)
    first = await services.refinery.resolve_schema("main@c?1", form=form)
    assert asked == ["composing_schemas" if form is SchemaForm.BUNDLED else "resolved_schema"]
    asked.clear()
    assert await services.refinery.resolve_schema("main@c?1", form=form) == first
    assert await services.refinery.resolve_schema("aug:main@c?1", form=form) == first
    assert asked == []
    # Which version is the latest has to be asked each time.
    assert await services.refinery.resolve_schema("aug:/c", form=form) == first
    assert asked == ["resolve_references"]


@pytest.mark.parametrize("form", SchemaForm)
async def test_an_alias_resolves_to_what_its_ref_does(services: Services, form: SchemaForm) -> None:
    await services.fork("dev")
    await layers(services)
    vibe = Draft(type=VibeType.RECORD, id="both", branches=("main", "dev"), schema=refers("c"))
    assert await services.refine(vibe) == ["main@both?1"]
    by_alias = await services.refinery.resolve_schema("dev@both?1", form=form)
    assert by_alias.ref == "main@both?1"
    assert by_alias == await services.refinery.resolve_schema("main@both?1", form=form)


@pytest.mark.parametrize("form", SchemaForm)
async def test_a_vibe_that_is_not_there_or_has_no_schema_is_refused(
    services: Services, form: SchemaForm
) -> None:
    ref = await services.record("no-schema", solution=1)
    with pytest.raises(SchemaMissing) as missing:
        await services.refinery.resolve_schema(ref, form=form)
    assert missing.value.metadata == {"ref": ref}
    with pytest.raises(VibeNotFound) as refused:
        await services.refinery.resolve_schema("main@nothing?1", form=form)
    assert refused.value.metadata == {"reference": "aug:main@nothing?1"}


async def test_what_a_schema_shares_with_one_that_was_resolved_before_is_not_sent_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await services.record("large", schema={"description": "x" * 100_000})
    for id_ in ("one", "two"):
        await services.record(id_, schema=refers("large"))
    rows: list[str] = []
    fetch = services.store.fetch

    async def noting(query: str, *arguments: Any) -> Any:
        answer = await fetch(query, *arguments)
        rows.extend(row["ref"] for row in answer)
        return answer

    monkeypatch.setattr(services.store, "fetch", noting)
    await services.refinery.resolve_schema("main@one?1")
    await services.refinery.resolve_schema("main@two?1")
    assert rows == ["main@one?1", "main@large?1", "main@two?1"]


@pytest.mark.parametrize("reference", ["aug:/a", "main@a?1"])
async def test_documents_travel_as_values_when_the_call_asks_for_it(
    services: Services, reference: str
) -> None:
    await layers(services)
    request = pb.ResolveSchemaRequest(reference=reference)
    for _ in range(2):
        answer = await services.resolver.ResolveSchema(request, metadata=(("document-form", "value"),))
        assert answer.schema.value.struct_value.fields["required"].list_value.values[0].string_value == "one"
        assert (await services.resolver.ResolveSchema(request)).schema.json


async def test_an_answer_at_hand_is_not_given_in_a_context_or_pinned_anew(services: Services) -> None:
    await layers(services)
    exact, embedded = "main@c?1", SchemaForm.EMBEDDED
    first = await services.refinery.resolve_schema(exact)
    assert await services.refinery.resolve_schema(exact, form=embedded) != first
    with pytest.raises(BranchNotFound):
        await services.refinery.resolve_schema(exact, context=Context("nowhere"))
    for id_ in ("a", "b"):
        await services.record(id_, schema={"title": "new"} if id_ == "a" else refers("a"))
    assert await services.refinery.resolve_schema(exact, repin=True) != first
    assert await services.refinery.resolve_schema(exact) == first


async def test_numbers_of_a_composed_schema_can_be_sent_back(services: Services) -> None:
    note = 'He said "12345678901234567890" \\'
    await services.record("a", schema={"maximum": 1e21, "minimum": 0.1, "description": note})
    answer = await services.refinery.resolve_schema(schema=refers("a"))
    assert "1e+21" in answer.text
    assert note in [guest.get("description") for guest in answer.schema["$defs"].values()]
    assert await services.refinery.resolve_schema(schema=orjson.loads(answer.text))
    await services.record("b", schema={"maximum": 1e20})
    pinned = await services.refinery.resolve_schema("aug:/b", form=SchemaForm.PINNED)
    assert pinned.text == '{"maximum":1e+20}'


async def test_large_schemas_are_composed_and_too_large_ones_refused(services: Services) -> None:
    await services.record("half", schema={"description": "x" * 400_000})
    await services.record("other", schema={"description": "y" * 400_000})
    assert len((await services.refinery.resolve_schema(schema=refers("half", "other"))).text) > 800_000
    await services.record("third", schema={"description": "z" * 400_000})
    for form in (SchemaForm.BUNDLED, SchemaForm.EMBEDDED):
        with pytest.raises(ResolutionTooLarge) as refusal:
            await services.refinery.resolve_schema(schema=refers("half", "other", "third"), form=form)
        assert refusal.value.metadata["field"] == "schema"


async def test_too_large_a_composition_is_refused_before_all_of_it_is_read(
    services: Services,
) -> None:
    for number in range(3):
        await services.record(f"large/{number}", schema={"description": "x" * 900_000})
    schema = refers(*(f"large/{number}" for number in range(3)))
    for repin in (False, True):
        with pytest.raises(ResolutionTooLarge):
            await services.refinery.resolve_schema(schema=schema, repin=repin, form=SchemaForm.PINNED)


async def test_a_schema_composed_through_more_than_32_levels_is_refused(services: Services) -> None:
    await services.record("level/0", schema=True)
    for level in range(1, 33):
        await services.record(f"level/{level}", schema={"$ref": f"aug:/level/{level - 1}"})
    with pytest.raises(ResolutionTooDeep):
        await services.refinery.resolve_schema(schema={"$ref": "aug:/level/32"})


async def test_what_cannot_be_resolved_is_refused_with_its_reason(services: Services) -> None:
    await layers(services)
    await services.record("orders/1", solution=1)
    resolve = services.refinery.resolve_schema
    with pytest.raises(VibeNotFound):
        await resolve("main@c?2")
    with pytest.raises(SchemaMissing):
        await resolve("main@orders/1?1")
    with pytest.raises(InvalidReference, match="a whole Vibe is meant"):
        await resolve("aug:/c#/allOf/0")
    with pytest.raises(UnknownReference) as unknown:
        await resolve(schema=refers("nothing"))
    assert unknown.value.metadata == {"field": "schema", "reference": "aug:/nothing"}
    with pytest.raises(SchemaMissing):
        await resolve(schema=refers("orders/1"))
    with pytest.raises(InvalidSchema):
        await resolve(schema={"$ref": "https://example.com/x.json"})
    with pytest.raises(InvalidField, match="is required, or schema"):
        await resolve()


async def test_malformed_questions_are_refused(services: Services) -> None:
    await layers(services)
    with pytest.raises(grpc.aio.AioRpcError) as form:
        await services.resolver.ResolveSchema(pb.ResolveSchemaRequest(reference="aug:/c", form=9))  # type: ignore[arg-type]
    assert form.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert form.value.details() == "form: 9 is not a form."
    with pytest.raises(InvalidDocument):
        await services.refinery._patience.call(
            services.resolver.ResolveSchema, pb.ResolveSchemaRequest(schema=vibe_pb2.Document()), None
        )
