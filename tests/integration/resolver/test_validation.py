from __future__ import annotations

import pytest

from refinery_core.errors import InvalidField, InvalidReference, InvalidSchema, SchemaMissing, SolutionMissing
from tests.integration.conftest import Services

USER = {"type": "object", "properties": {"age": {"minimum": 0}, "tags": {"items": {"type": "string"}}}}


async def test_a_document_that_does_not_satisfy_its_schema_is_no_error(
    services: Services,
) -> None:
    await services.record("schemas/user", schema=USER)
    validate = services.refinery.validate_solution
    assert (await validate("aug:/schemas/user", solution={"age": 3})).valid
    answer = await validate("aug:/schemas/user", solution={"age": -1})
    assert not answer.valid
    assert [violation.instance_path for violation in answer.violations] == ["/age"]
    assert not answer.truncated
    inline = await validate(schema={"$ref": "aug:/schemas/user"}, solution={"age": -1})
    assert [violation.instance_path for violation in inline.violations] == ["/age"]


async def test_a_hundred_violations_are_listed_and_more_are_said_to_be_cut(services: Services) -> None:
    await services.record("schemas/user", schema=USER)
    for count, listed, truncated in ((100, 100, False), (101, 100, True)):
        answer = await services.refinery.validate_solution(
            "aug:/schemas/user", solution={"tags": [0] * count}
        )
        assert (len(answer.violations), answer.truncated) == (listed, truncated)


async def test_violations_with_enormous_paths_still_fit_into_an_answer(services: Services) -> None:
    schema = {"additionalProperties": {"items": {"type": "string"}}}
    answer = await services.refinery.validate_solution(schema=schema, solution={"k" * 400_000: [0] * 50})
    assert not answer.valid
    assert answer.truncated


async def test_a_fragment_checks_against_that_part(services: Services) -> None:
    await services.record("schemas/age", schema={"minimum": 0})
    composed = {"properties": {"age": {"$ref": "aug:/schemas/age"}}}
    draft7 = {"$schema": "http://json-schema.org/draft-07/schema#", **USER}
    for id_, schema in (("plain", USER), ("composed", composed), ("draft7", draft7)):
        await services.record(f"schemas/{id_}", schema=schema)
        reference = f"aug:/schemas/{id_}#/properties/age"
        assert (await services.refinery.validate_solution(reference, solution=1)).valid
        assert not (await services.refinery.validate_solution(reference, solution=-1)).valid
    with pytest.raises(InvalidReference, match="leads to no schema"):
        await services.refinery.validate_solution("aug:/schemas/plain#/properties/size", solution=1)


async def test_a_fragment_of_a_draft_07_schema_that_is_itself_a_bare_reference_is_found(
    services: Services,
) -> None:
    await services.record("schemas/base", schema={"type": "object"})
    await services.record(
        "schemas/bare",
        schema={
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "aug:/schemas/base",
            "definitions": {"age": {"minimum": 0}, "any": True},
        },
    )
    validate = services.refinery.validate_solution
    assert (await validate("aug:/schemas/bare#/definitions/age", solution=1)).valid
    assert not (await validate("aug:/schemas/bare#/definitions/age", solution=-1)).valid
    assert (await validate("aug:/schemas/bare#/definitions/any", solution=-1)).valid


async def test_a_repinned_fragment_is_the_part_as_it_would_be_today(services: Services) -> None:
    await services.record("schemas/age", schema={"minimum": 0})
    ref = await services.record("schemas/user", schema={"properties": {"age": {"$ref": "aug:/schemas/age"}}})
    await services.record("schemas/age", schema={"minimum": 10})
    validate = services.refinery.validate_solution
    part = f"aug:{ref}#/properties/age"
    assert (await validate(part, solution=5)).valid
    assert not (await validate(part, solution=5, repin=True)).valid


async def test_without_a_solution_that_of_the_reference_is_checked(services: Services) -> None:
    await services.record("schemas/user", schema=USER)
    ref = await services.record("users/1", schema={"$ref": "aug:/schemas/user"}, solution={"age": 3})
    await services.record("schemas/user", schema={"required": ["name"]})
    validate = services.refinery.validate_solution
    assert (await validate(ref)).valid
    assert not (await validate(ref, repin=True)).valid
    with pytest.raises(SolutionMissing):
        await validate("aug:/schemas/user")


async def test_questions_without_a_schema_or_a_solution_are_refused(services: Services) -> None:
    ref = await services.record("orders/1", solution=1)
    validate = services.refinery.validate_solution
    with pytest.raises(SchemaMissing):
        await validate(ref)
    with pytest.raises(InvalidField, match="solution: is required with schema"):
        await validate(schema=True)
    with pytest.raises(InvalidField, match="is required, or schema"):
        await validate(solution=1)
    with pytest.raises(InvalidSchema):
        await validate(schema={"type": "nonsense"}, solution=1)
    with pytest.raises(InvalidSchema):
        await validate(schema={"pattern": "(?=x)"}, solution="x")
