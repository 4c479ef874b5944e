"""A capability is called alone: at once, once, and by the rules that hold inside an execution."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import grpc
import pytest

from process_worker.activities.outside.functions import Caller
from process_worker.engine.faults import standard
from refinery.process.v1 import process_service_pb2 as pb
from refinery.vibe.v1.vibe_pb2 import Document
from refinery_client import Unreachable
from refinery_core.vibe.documents import MAX_DEPTH
from tests.cases.scenario import STANDARD
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.integration.process.test_executions import reason
from tests.support.waiting import PATIENCE

NAME = "aug:/capabilities/x"
INTEGER = {"schema": {"document": {"type": "object", "properties": {"n": {"type": "integer"}}}}}


def asked(capability: str = NAME, input_: Any = None, **fields: Any) -> pb.CallCapabilityRequest:
    request = {"request_id": str(uuid.uuid4()), "author_ref": AUTHOR, "capability": capability, **fields}
    if input_ is not None:
        request["input"] = Document(json=json.dumps(input_))
    return pb.CallCapabilityRequest(**request)


async def output(processes: Processes, request: pb.CallCapabilityRequest) -> Any:
    answer = await processes.stub.CallCapability(request, timeout=20)
    assert answer.WhichOneof("outcome") == "output", answer
    return json.loads(answer.output.json)


async def problem(processes: Processes, request: pb.CallCapabilityRequest) -> pb.Problem:
    answer = await processes.stub.CallCapability(request, timeout=20)
    assert answer.WhichOneof("outcome") == "problem", answer
    return answer.problem


def get(processes: Processes, path: str) -> dict[str, Any]:
    return {"call": "http", "with": {"method": "get", "endpoint": f"{processes.web.base}{path}"}}


def python(function: str, **arguments: str) -> dict[str, Any]:
    what = {"function": function, **({"arguments": arguments} if arguments else {})}
    return {"call": "python", "with": what}


async def test_a_capability_gives_its_output(processes: Processes) -> None:
    processes.web.script({"/double/21": [(200, {"value": 42})]})
    ref = await processes.capability(
        get(processes, "/double/{n}") | {"input": INTEGER, "output": {"as": "${ {n: .value} }", **INTEGER}}
    )
    request = asked(input_={"n": 21})
    answer = await processes.stub.CallCapability(request)
    assert (answer.capability_ref, json.loads(answer.output.json)) == (ref, {"n": 42})
    assert processes.web.headers[0]["idempotency-key"] == request.request_id
    answer = await processes.stub.CallCapability(request, metadata=[("document-form", "value")])
    assert answer.output.value.struct_value["n"] == 42


async def test_without_an_input_it_is_called_with_an_empty_object(processes: Processes) -> None:
    processes.functions["tests.echo"] = lambda arguments, _: arguments
    await processes.capability(python("tests.echo", input="${ . }"))
    assert await output(processes, asked()) == {"input": {}}
    assert await output(processes, asked(input_=[1])) == {"input": [1]}


async def test_an_input_that_breaks_its_schema_is_a_problem_and_nobody_is_called(
    processes: Processes,
) -> None:
    await processes.capability(get(processes, "/x") | {"input": INTEGER})
    told = await problem(processes, asked(input_={"n": "two"}))
    assert (told.type, told.status, told.instance) == (STANDARD + "validation", 400, "")
    assert told.detail.startswith("main@capabilities/x?1: the input does not satisfy its schema: /n:")
    assert processes.web.asked == []


async def test_an_output_that_breaks_its_schema_is_a_problem(processes: Processes) -> None:
    processes.web.script({"/x": [(200, {"n": "one"})]})
    await processes.capability(get(processes, "/x") | {"output": INTEGER})
    told = await problem(processes, asked())
    assert told.type == STANDARD + "validation"
    assert "the output does not satisfy its schema" in told.detail


@pytest.mark.parametrize("content", [b'{"n": 98765432109876543210}', b"[" * (MAX_DEPTH + 1) + b"]" * 65])
async def test_an_output_that_is_no_document_of_ours_is_a_problem(
    processes: Processes, content: bytes
) -> None:
    processes.functions["tests.odd"] = lambda *_: json.loads(content)
    await processes.capability(python("tests.odd"))
    told = await problem(processes, asked())
    assert told.type == STANDARD + "validation"
    assert "the output is refused at $" in told.detail


async def test_schemas_of_other_vibes_are_frozen_and_enforced(processes: Processes) -> None:
    processes.web.script({"/x": [(200, {"n": 1})]})
    document = {"$ref": "aug:/schemas/order", "required": ["m"]}
    part = {"properties": {"n": {"$ref": "aug:/schemas/order#/properties/n"}}}
    await processes.services.record("schemas/order", schema={"properties": {"n": {"type": "integer"}}})
    await processes.capability(
        get(processes, "/x")
        | {"input": {"schema": {"document": document}}, "output": {"schema": {"document": part}}}
    )
    assert await output(processes, asked(input_={"n": 1, "m": 1})) == {"n": 1}
    for wrong in ({"n": 1}, {"n": "one", "m": 1}):
        assert (await problem(processes, asked(input_=wrong))).type == STANDARD + "validation"
    # Its references float until it is called.
    await processes.services.record("schemas/order", schema={"properties": {"n": {"type": "string"}}})
    assert (await problem(processes, asked(input_={"n": 1, "m": 1}))).type == STANDARD + "validation"
    told = await problem(processes, asked(input_={"n": "one", "m": 1}))
    assert "the output does not satisfy its schema" in told.detail


async def test_a_host_that_is_not_allowed_is_not_called(processes: Processes) -> None:
    what = {"method": "get", "endpoint": "http://127.0.0.1:9/"}
    await processes.capability({"call": "http", "with": what})
    told = await problem(processes, asked())
    assert (told.type, told.status, told.title) == (STANDARD + "authorization", 403, "Not allowed")


async def test_an_answer_that_says_no_is_a_problem_and_nobody_asks_again(processes: Processes) -> None:
    processes.web.script({"/x": [(500, None), (200, 1)]})
    await processes.capability(get(processes, "/x"))
    told = await problem(processes, asked())
    assert (told.type, told.status) == (STANDARD + "communication", 500)
    assert processes.web.asked == ["/x"]


async def test_a_python_function_is_told_for_whom_it_is_called(processes: Processes) -> None:
    callers: list[Caller] = []

    async def double(arguments: Any, caller: Caller) -> Any:
        callers.append(caller)
        return arguments["n"] * 2

    processes.functions["tests.double"] = double
    ref = await processes.capability(python("tests.double", n="${ .n }"))
    request = asked(input_={"n": 21}, author_ref="aug:/system/genesis")
    assert await output(processes, request) == 42
    (caller,) = callers
    assert str(caller.key) == request.request_id
    assert (caller.behalf.author_ref, caller.behalf.branch) == (AUTHOR, "main")
    assert (caller.behalf.process_ref, caller.behalf.record_ref) == (ref, "")


async def test_a_function_that_nobody_registered_is_a_problem(processes: Processes) -> None:
    await processes.capability(python("nobody.knows"))
    assert (await problem(processes, asked())).type == STANDARD + "configuration"


async def test_a_fault_that_a_function_raises_is_a_problem_and_a_mistake_in_it_is_logged(
    processes: Processes, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise standard("authorization", "not you")

    def err(*_: Any) -> None:
        raise ZeroDivisionError

    await processes.capability(python("tests.fails"))
    processes.functions["tests.fails"] = refuse
    assert (await problem(processes, asked())).detail == "main@capabilities/x?1: not you"
    processes.functions["tests.fails"] = err
    told, metadata = await reason(processes.stub.CallCapability(asked()))
    assert told == "INTERNAL"
    assert metadata["incident"] in capsys.readouterr().out


# --- The ledger's own capabilities -------------------------------------------------------------


async def test_a_vibe_is_read_on_the_branch_that_is_named(processes: Processes) -> None:
    await processes.services.fork("dev")
    await processes.services.record("orders/1", branch="dev", solution={"total": 7})
    request = asked("aug:/system/capabilities/get-vibe", {"reference": "aug:/orders/1"}, branch="dev")
    read = await output(processes, request)
    assert (read["ref"], read["solution"]) == ("dev@orders/1?1", {"total": 7})
    request.branch = ""
    told = await problem(processes, request)
    assert (told.status, told.title) == (404, "VIBE_NOT_FOUND")


async def test_the_same_request_id_commits_once(processes: Processes) -> None:
    drafts = [{"type": "RECORD", "id": "notes/1", "solution": {"n": 1}}]
    request = asked("aug:/system/capabilities/refine", {"drafts": drafts})
    for _ in range(2):
        assert await output(processes, request) == {"refs": ["main@notes/1?1"]}
    made = await processes.services.refinery.get_refinement(request_id=uuid.UUID(request.request_id))
    assert (made.author_ref, made.vibe_refs) == (AUTHOR, ("main@notes/1?1",))
    assert (made.target_refs, made.instruction_refs) == ((), ("main@system/capabilities/refine?1",))
    revisions = [each.ref async for each in processes.services.refinery.list_revisions("notes/1")]
    assert revisions == ["main@notes/1?1"]
    changed = asked("aug:/system/capabilities/refine", {"drafts": [{**drafts[0], "solution": 2}]})
    changed.request_id = request.request_id
    told = await problem(processes, changed)
    assert (told.status, told.title) == (409, "REQUEST_ID_REUSED")


@pytest.mark.parametrize(
    ("draft", "title", "told"),
    [
        ({"type": "RECORD", "id": "a//b"}, "INVALID_FIELD", "drafts[0].id"),
        ({"type": "THING", "id": "a"}, "", "'THING' is not a valid VibeType"),
        ({"type": "RECORD", "id": "a", "expected_revision": "one"}, "", "the arguments do not fit"),
        ({"type": "RECORD", "id": "a", "prototype_ref": 1}, "", "the arguments do not fit"),
        ({"type": "RECORD", "id": "a", "schema": False, "solution": 1}, "SOLUTION_INVALID", "drafts[0]"),
    ],
)
async def test_a_bad_draft_is_a_problem(
    processes: Processes, draft: dict[str, Any], title: str, told: str
) -> None:
    found = await problem(processes, asked("aug:/system/capabilities/refine", {"drafts": [draft]}))
    assert (found.type, found.status, found.title) == (STANDARD + "validation", 400, title)
    assert told in found.detail


async def test_a_function_of_the_ledger_says_which_argument_it_lacks(processes: Processes) -> None:
    await processes.capability(python("refinery.get_vibe"))
    told = await problem(processes, asked())
    assert (told.type, told.detail) == (
        STANDARD + "validation",
        "main@capabilities/x?1: the arguments lack 'reference'",
    )


# --- What is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"capability": "aug:/none"}, ("VIBE_NOT_FOUND", {"reference": "aug:/none"})),
        (
            {"author_ref": "aug:/none"},
            ("UNKNOWN_REFERENCE", {"field": "author_ref", "reference": "aug:/none"}),
        ),
        (
            {"author_ref": "aug:/orders/1"},
            ("AUTHOR_NOT_ALLOWED", {"ref": "main@orders/1?1", "type": "RECORD"}),
        ),
        ({"branch": "dev"}, ("BRANCH_NOT_FOUND", {"branch": "dev"})),
        (
            {"capability": "aug:/orders/1"},
            (
                "PROCESS_NOT_EXECUTABLE",
                {"ref": "main@orders/1?1", "problem": "it is a RECORD, not a CAPABILITY"},
            ),
        ),
        (
            {"capability": "aug:/p"},
            ("PROCESS_NOT_EXECUTABLE", {"ref": "main@p?1", "problem": "it is a PROCESS, not a CAPABILITY"}),
        ),
        (
            {"capability": "aug:/unfounded"},
            ("UNKNOWN_REFERENCE", {"field": "capability", "reference": "aug:/schemas/none"}),
        ),
    ],
)
async def test_what_is_not_there_or_not_what_it_must_be_is_refused(
    processes: Processes, change: dict[str, str], refusal: tuple[str, dict[str, str]]
) -> None:
    await processes.capability(get(processes, "/x"))
    schema = {"schema": {"resource": {"endpoint": "aug:/schemas/none"}}}
    await processes.capability(get(processes, "/x") | {"input": schema}, "unfounded")
    await processes.services.record("orders/1", solution=1)
    await processes.process("p")
    assert await reason(processes.stub.CallCapability(asked(**change))) == refusal
    assert processes.web.asked == []


async def test_a_process_may_be_the_author(processes: Processes) -> None:
    processes.web.script({"/x": [(200, 1)]})
    await processes.capability(get(processes, "/x"))
    assert await output(processes, asked(author_ref=await processes.process("p"))) == 1


# --- The end of a call -------------------------------------------------------------------------


async def test_the_deadline_of_the_caller_ends_the_call(processes: Processes) -> None:
    processes.web.delay = 60
    await processes.capability(get(processes, "/x"))
    while not processes.web.asked:  # On a busy machine the first one may not come so far.
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await processes.stub.CallCapability(asked(), timeout=1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(PATIENCE):
        await processes.web.abandoned.wait()


async def test_a_caller_who_goes_away_ends_the_call(processes: Processes) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(*_: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    processes.functions["tests.wait"] = wait
    await processes.capability(python("tests.wait"))
    calling = asyncio.ensure_future(_ask(processes))
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
        calling.cancel()
        await cancelled.wait()


async def _ask(processes: Processes) -> None:
    await processes.stub.CallCapability(asked())


async def test_what_is_away_is_a_refusal_and_no_problem(processes: Processes) -> None:
    def call(*_: Any) -> None:
        raise Unreachable(service="ledger", problem="nobody answers")

    processes.functions["tests.away"] = call
    await processes.capability(python("tests.away"))
    refused = await reason(processes.stub.CallCapability(asked()))
    assert refused == ("LEDGER_UNAVAILABLE", {"problem": "nobody answers"})


async def test_a_timeout_of_the_capability_is_a_problem(processes: Processes) -> None:
    processes.web.delay = 60
    await processes.capability(get(processes, "/x") | {"timeout": {"after": {"milliseconds": 200}}})
    while not processes.web.asked:  # On a busy machine the first one may not come so far.
        assert (await problem(processes, asked())).type == STANDARD + "timeout"
    async with asyncio.timeout(PATIENCE):
        await processes.web.abandoned.wait()
