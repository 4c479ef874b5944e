"""Processes and capabilities are checked when they are refined."""

from __future__ import annotations

import re
from typing import Any

import pytest

from refinery_client import Draft
from refinery_core.errors import InvalidProcess, InvalidSchema
from refinery_core.vibe.model import VibeType
from tests.support.ledger import Ledger, record

DOCUMENT = {"dsl": "1.0.3", "namespace": "tests", "name": "greet", "version": "1.0.0"}
GOOD = {"document": DOCUMENT, "do": [{"greet": {"set": {"greeting": '${ "Hello \\(.name)" }'}}}]}
CALL = {"call": "http", "with": {"method": "get", "endpoint": "https://example.com"}}


def process(**fields: Any) -> Draft:
    return Draft(type=VibeType.PROCESS, id="processes/greet", **fields)


def capability(**fields: Any) -> Draft:
    return Draft(type=VibeType.CAPABILITY, id="capabilities/page", **fields)


async def test_a_bad_process_is_refused_with_the_pointer_of_what_is_wrong(ledger: Ledger) -> None:
    bad = {"document": DOCUMENT, "do": [{"greet": {"sett": {"greeting": "Hello"}}}]}
    before = await ledger.last_position()
    with pytest.raises(InvalidProcess) as refused:
        await ledger.refine(record("fine"), process(solution=bad))
    assert refused.value.metadata == {
        "field": "drafts[1].solution",
        "kind": "process",
        "path": "/do/0/greet/sett",
        "problem": "there is no task 'sett'; perhaps you mean 'set'",
    }
    assert await ledger.last_position() == before


async def test_a_bad_expression_is_refused_before_anybody_runs_it(ledger: Ledger) -> None:
    bad = {"document": DOCUMENT, "do": [{"leak": {"set": {"x": "${ env.PGPASSWORD }"}}}]}
    with pytest.raises(InvalidProcess, match="'env' is not allowed") as refused:
        await ledger.refine(process(solution=bad))
    assert refused.value.metadata["path"] == "/do/0/leak/set/x"


async def test_a_bad_capability_is_refused_with_the_pointer_of_what_is_wrong(ledger: Ledger) -> None:
    with pytest.raises(InvalidProcess, match=r"the capability is refused .* needs 'endpoint'") as refused:
        await ledger.refine(capability(solution={"call": "http", "with": {"method": "get"}}))
    assert refused.value.metadata["path"] == "/with"
    with pytest.raises(InvalidProcess) as refused:
        await ledger.refine(capability(solution=[]))
    assert refused.value.metadata["path"] == "(root)"


@pytest.mark.parametrize(
    ("schema", "path", "problem"),
    [
        ({"type": "strnig"}, "/type", "strnig"),
        ({"properties": {"a": {"minimum": "1"}}}, "/properties/a/minimum", "number"),
        ({"pattern": "(a)\\1"}, "/pattern", "linear time"),
        ({"$ref": "#/$defs/nowhere"}, "/$ref", "nowhere"),
        ({"type": 5, "$ref": "aug:/schemas/somewhere"}, "/type", "5"),
        ({"items": {"$ref": "aug:/schemas/somewhere"}, "required": "a"}, "/required", "array"),
    ],
)
async def test_a_schema_that_is_none_is_refused_with_the_pointer_of_what_is_wrong(
    schema: Any, path: str, problem: str, ledger: Ledger
) -> None:
    shape = {"schema": {"document": schema}}
    task = {"greet": {"set": {"a": 1}, "output": shape}}
    for draft, at in (
        (process(solution={**GOOD, "input": shape}), "/input"),
        (process(solution={"document": DOCUMENT, "do": [task]}), "/do/0/greet/output"),
        (capability(solution={**CALL, "output": shape}), "/output"),
    ):
        with pytest.raises(InvalidProcess, match=re.escape(problem)) as refused:
            await ledger.refine(draft)
        assert refused.value.metadata["path"] == f"{at}/schema/document{path}"


async def test_a_schema_that_refers_to_vibes_is_taken(ledger: Ledger) -> None:
    refers = {"type": "array", "items": {"$ref": "aug:/schemas/somewhere", "minimum": 1}}
    await ledger.refine(process(solution={**GOOD, "output": {"schema": {"document": refers}}}))


async def test_a_secret_is_read_in_authentications_only(ledger: Ledger) -> None:
    use = {"secrets": ["token"]}
    leak = {**GOOD, "use": use, "input": {"from": "${ $secrets.token }"}}
    with pytest.raises(InvalidProcess, match="can only be read in an authentication") as refused:
        await ledger.refine(process(solution=leak))
    assert refused.value.metadata["path"] == "/input/from"
    with pytest.raises(InvalidProcess, match="can only be read in an authentication"):
        await ledger.refine(
            capability(solution={**CALL, "use": use, "input": {"from": "${ $secrets.token }"}})
        )
    endpoint = {
        "uri": "https://example.com",
        "authentication": {"bearer": {"token": "${ $secrets.token }"}},
    }
    fine = {"call": "http", "with": {"method": "get", "endpoint": endpoint}, "use": use}
    await ledger.refine(capability(solution=fine))


async def test_a_good_process_and_capability_are_refined(ledger: Ledger) -> None:
    refined = await ledger.refine(process(solution=GOOD), capability(solution=CALL))
    assert [vibe.ref for vibe in refined.vibes] == ["main@processes/greet?1", "main@capabilities/page?1"]


async def test_a_large_process_is_checked_too(ledger: Ledger) -> None:
    tasks: list[Any] = [{f"t{number}": {"set": {"text": "x" * 100}}} for number in range(500)]
    await ledger.refine(process(solution={"document": DOCUMENT, "do": tasks}))
    tasks[499] = {"t499": {"set": {"x": "${ now }"}}}
    with pytest.raises(InvalidProcess, match="/do/499/t499/set/x"):
        await ledger.refine(process(solution={"document": DOCUMENT, "do": tasks}))


async def test_a_process_without_solution_is_a_name_that_can_be_refined_later(ledger: Ledger) -> None:
    await ledger.refine(process(), capability())
    refined = await ledger.refine(process(solution=GOOD, expected_revision=1))
    assert refined.vibes[0].revision == 2


async def test_an_inherited_solution_is_checked_as_if_it_were_sent(ledger: Ledger) -> None:
    await ledger.refine(record("notes", solution={"do": "nothing"}))
    with pytest.raises(InvalidProcess):
        await ledger.refine(process(prototype_ref="aug:/notes"))


async def test_the_schema_of_a_process_is_that_of_its_input_and_result_not_of_its_steps(
    ledger: Ledger,
) -> None:
    with pytest.raises(InvalidSchema, match="nonsense"):
        await ledger.refine(process(schema={"properties": {"input": {"type": "nonsense"}}}))
    refused: list[Any] = [{"type": "object"}, {"properties": {"output": True}}, {"properties": {}}, {}, True]
    for schema in refused:
        with pytest.raises(InvalidSchema, match="that of a process describes its input and its result"):
            await ledger.refine(process(schema=schema))
    for part in ("input", "result"):
        schema = {"properties": {part: {"type": "array"}}}
        await ledger.refine(process(schema=schema, solution=GOOD))


async def test_records_may_hold_what_no_process_may(ledger: Ledger) -> None:
    await ledger.refine(record("anything", solution={"do": "nothing", "call": 1}))
