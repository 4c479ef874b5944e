"""Schemas with numbers that only 64 bits hold, composed, answered and sent again."""

from __future__ import annotations

from typing import Any

import pytest

from refinery.resolver.v1 import resolver_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_client import SchemaForm
from refinery_core.vibe.documents import parse
from tests.cases.numbers import KEPT
from tests.integration.conftest import Services

LARGE = {
    "maximum": 18446744073709551615,
    "minimum": -9223372036854775808,
    "not": {"enum": [9007199254740993, 1e20, -(2.0**63), 0.1]},
}
VALUE = (("document-form", "value"),)


@pytest.mark.parametrize("form", SchemaForm)
async def test_a_composed_schema_keeps_every_number_and_can_be_sent_again(
    services: Services, form: SchemaForm
) -> None:
    every = {"enum": [parse(literal).value for literal in KEPT]}
    await services.record("every", schema=every)
    await services.record("large", schema=LARGE)
    await services.record("both", schema={"allOf": [{"$ref": "aug:/every"}, {"$ref": "aug:/large"}]})
    answer = await services.refinery.resolve_schema("aug:/both", form=form)
    assert parse(answer.text).value == answer.schema
    if form is not SchemaForm.PINNED:
        assert every["enum"] in values(answer.schema, "enum")
        assert LARGE["maximum"] in values(answer.schema, "maximum")
    for metadata in ((), VALUE):
        request = pb.ResolveSchemaRequest(reference="aug:/both", form=FORMS[form])
        message = await services.resolver.ResolveSchema(request, metadata=metadata)
        again = pb.ResolveSchemaRequest(schema=message.schema, form=FORMS[SchemaForm.PINNED])
        answered = (await services.resolver.ResolveSchema(again)).schema.json
        assert values(parse(answered).value, "enum") == values(answer.schema, "enum")


FORMS = {form: pb.SchemaForm.Value(f"SCHEMA_FORM_{form.name}") for form in SchemaForm}


def values(schema: Any, keyword: str) -> list[Any]:
    """The values under a keyword, anywhere."""
    found, todo = [], [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            found += [part[keyword]] if keyword in part else []
            todo += part.values()
        elif isinstance(part, list):
            todo += part
    return found


async def test_a_solution_is_judged_by_all_digits_through_references(services: Services) -> None:
    await services.record("large", schema=LARGE)
    for number, valid in (
        ("18446744073709551615", True),
        ("-9223372036854775808", True),
        ("9007199254740992", True),
        ("9007199254740993", False),
        ("9007199254740993.0", False),
        ("100e18", False),
        ("-9.223372036854776e18", False),
        ("0.1000000000000000055511151231257827021181583404541015625", False),
    ):
        schema = vibe_pb2.Document(json='{"$ref":"aug:/large"}')
        request = pb.ValidateSolutionRequest(schema=schema, solution=vibe_pb2.Document(json=number))
        assert (await services.resolver.ValidateSolution(request)).valid is valid, number
