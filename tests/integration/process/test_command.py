from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from refinery_client import Draft, ExecutionState
from refinery_core.vibe.model import VibeType
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.support.command import Said, refinery_beside
from tests.support.waiting import PATIENCE


async def refinery(processes: Processes, *tokens: str, expect: int = 0) -> Said:
    settings = {
        "REFINERY_PROCESS": processes.address,
        "REFINERY_LEDGER": processes.services.address,
        "REFINERY_RESOLVER": processes.services.address,
        "REFINERY_AUTHOR": AUTHOR,
    }
    return await refinery_beside(*tokens, settings=settings, expect=expect)


async def test_run_follows_an_execution_to_its_result(processes: Processes) -> None:
    process = await processes.process("processes/small")
    said = await refinery(
        processes, "run", "aug:/processes/small", "--input", '{"a": 1}', "--watch", "-o", "jsonl"
    )
    *events, execution = map(json.loads, said.out.splitlines())
    assert [event["type"] for event in events] == ["TASK_STARTED", "TASK_ENDED"] * 2 + ["EXECUTION_ENDED"]
    assert execution["state"] == "COMPLETED"
    assert execution["process_ref"] == process
    said = await refinery(processes, "run", "aug:/processes/small", "--watch")
    assert "started      /do/0/first" in said.out
    assert "state" in said.out
    assert "COMPLETED" in said.out
    assert json.loads(said.out.rpartition("\n\n")[2]) == {"heard": None, "input": {}}


async def test_run_says_no_where_an_execution_faulted(processes: Processes) -> None:
    await processes.process("processes/small")
    said = await refinery(
        processes, "run", "aug:/processes/small", "--input", '{"fault": 1}', "--watch", expect=1
    )
    assert "418 It is a teapot" in said.out
    assert "FAULTED" in said.out


async def test_an_execution_is_approved_and_found(processes: Processes) -> None:
    await processes.process("processes/small")
    id_ = str(uuid.uuid4())
    run = ("run", "aug:/processes/small", "--input", '{"listen": 1}', "--request-id", id_, "-o", "json")
    started = await refinery(processes, *run)
    assert started.json["execution"]["state"] == "RUNNING"
    assert (await refinery(processes, *run)).json["replayed"]
    sent = await refinery(processes, "approve", id_, "--comment", "fine", "-o", "json")
    record = await processes.services.refinery.get_vibe(sent.json["event_ref"])
    assert record.author_ref == AUTHOR
    assert record.solution["type"] == "refinery.approval.v1"
    assert record.solution["subject"] == id_
    assert record.solution["data"] == {"approved": True, "comment": "fine"}
    followed = await refinery(processes, "execution", "watch", id_, "-o", "json")
    assert followed.json["state"] == "COMPLETED"
    found = await refinery(processes, "execution", "get", id_)
    assert f"main@processes/small/results/{id_}?1" in found.out
    assert "EXECUTION_ENDED" in found.out


async def test_who_approves_where_nobody_waits_for_it_is_told(processes: Processes) -> None:
    roles = [Draft(type=VibeType.ROLE, id=f"roles/{name}", solution={}) for name in ("controller", "other")]
    await processes.services.refine(*roles)
    wanted = {"type": "refinery.approval.v1", "author_ref": "aug:/roles/controller"}
    await processes.process("processes/asking", [{"ask": {"listen": {"to": {"one": {"with": wanted}}}}}])
    id_ = str(uuid.uuid4())
    await refinery(processes, "run", "aug:/processes/asking", "--request-id", id_)
    async with asyncio.timeout(PATIENCE):
        while "listening" not in (await refinery(processes, "execution", "get", id_)).out:
            pass
    nobody = "No task of the execution waits for this now; it is kept for one that will.\n"
    for wrong in (
        ("approve", id_),
        ("approve", id_, "--role", "aug:/roles/other"),
        ("send-event", id_, "--type", "heard", "--author", "aug:/roles/controller"),
    ):
        said = await refinery(processes, *wrong)
        assert said.err == nobody
        assert "event" in said.out
    right = ("approve", id_, "--role", "main@roles/controller?1", "--request-id", str(uuid.uuid4()))
    assert (await refinery(processes, *right)).err == ""
    await refinery(processes, "execution", "watch", id_)


async def test_executions_are_listed_told_and_stopped(processes: Processes) -> None:
    process = await processes.process("processes/commanded")
    ids = [str(uuid.uuid4()) for _ in range(3)]
    for id_ in ids:
        await refinery(processes, "run", process, "--input", '{"listen": 1}', "--request-id", id_)
    await refinery(processes, "send-event", ids[0], "--type", "heard", "--id", "e1", "--data", "[1]")
    said = await refinery(processes, "execution", "cancel", ids[1])
    assert said.out == f"Execution {ids[1]} is asked to stop.\n"
    said = await refinery(processes, "execution", "terminate", ids[2], "--reason", "enough", "-o", "json")
    assert said.json == {"id": ids[2], "asked": "terminate"}
    for id_, state in zip(ids, ("COMPLETED", "CANCELLED", "TERMINATED"), strict=True):
        told = await refinery(
            processes, "execution", "watch", id_, "-o", "json", expect=int(state != "COMPLETED")
        )
        assert told.json["state"] == state
    async with asyncio.timeout(PATIENCE):
        while True:
            listed = (await refinery(processes, "execution", "list", process, "-o", "json")).json
            if {each["id"]: ExecutionState(each["state"]).value for each in listed} == dict(
                zip(ids, ("COMPLETED", "CANCELLED", "TERMINATED"), strict=True)
            ):
                break
    by_reference = ("execution", "list", "aug:/processes/commanded", "--process", processes.address)
    listed = (await refinery(processes, *by_reference, "-o", "json")).json
    assert {each["id"] for each in listed} == set(ids)
    refused = await refinery(processes, "execution", "cancel", ids[0], expect=1)
    assert "EXECUTION_ENDED" in refused.err
    wrong = await refinery(processes, "execution", "get", "nonsense", expect=2)
    assert "is not the id of an execution" in wrong.err


async def test_schedules_are_listed_by_what_a_reference_means_and_told(processes: Processes) -> None:
    for name in ("one", "other"):
        await processes.process(f"processes/{name}", schedule={"every": "PT1H"})
        made = await refinery(processes, "schedule", "make", f"aug:/processes/{name}", "-o", "json")
    listed: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        while not listed:
            listed = (await refinery(processes, "schedule", "list", "aug:/processes/one", "-o", "json")).json
    assert [each["process"] for each in listed] == ["aug:/processes/one"]
    id_ = made.json["schedule"]["id"]
    for verb, said in (("pause", "is paused"), ("resume", "goes on"), ("end", "is ended")):
        told = await refinery(processes, "schedule", verb, id_)
        assert told.out == f"Schedule {id_} {said}.\n"
    assert (await refinery(processes, "schedule", "end", id_, "-o", "json")).json == {
        "id": id_,
        "asked": "end",
    }


async def test_a_capability_is_called_and_its_output_printed(processes: Processes) -> None:
    ref = await processes.capability({"call": "python", "with": {"function": "tests.double"}})
    processes.functions["tests.double"] = lambda arguments, _: {"twice": arguments["n"] * 2}
    call = ("call", "aug:/capabilities/x", "--input", '{"n": 21}')
    assert (await refinery(processes, *call)).json == {"twice": 42}
    told = await refinery(processes, *call, "-o", "json")
    assert told.json == {"capability_ref": ref, "output": {"twice": 42}, "problem": None}


async def test_a_problem_of_a_capability_is_told_beside_the_output_and_is_a_no(processes: Processes) -> None:
    await processes.capability({"call": "python", "with": {"function": "nobody.knows"}})
    said = await refinery(processes, "call", "aug:/capabilities/x", expect=1)
    assert said.out == ""
    assert said.err.startswith("error: 400 ")
    assert said.err.endswith("no Python function is registered with this worker as 'nobody.knows'\n")
    said = await refinery(processes, "call", "aug:/capabilities/x", "-o", "jsonl", expect=1)
    assert said.json["problem"]["status"] == 400
    assert "output" not in said.json


async def test_a_call_under_the_same_request_id_commits_once(processes: Processes) -> None:
    input_ = json.dumps({"drafts": [{"type": "RECORD", "id": "notes/1", "solution": 1}]})
    call = ("call", "aug:/system/capabilities/refine", "--input", input_, "--request-id", str(uuid.uuid4()))
    for _ in range(2):
        assert (await refinery(processes, *call)).json == {"refs": ["main@notes/1?1"]}


async def test_a_call_that_takes_too_long_says_how_to_send_it_again(processes: Processes) -> None:
    processes.functions["tests.wait"] = lambda *_: asyncio.Event().wait()
    await processes.capability({"call": "python", "with": {"function": "tests.wait"}})
    id_ = str(uuid.uuid4())
    call = ("call", "aug:/capabilities/x", "--request-id", id_, "--timeout", "0.5")
    said = await refinery(processes, *call, expect=3)
    assert f"--request-id {id_}" in said.err
    assert "DEADLINE_EXCEEDED" in said.err
    refused = await refinery(processes, "call", "aug:/none", expect=1)
    assert "VIBE_NOT_FOUND" in refused.err
    wrong = await refinery(processes, "call", "aug:/capabilities/x", "--input", "{", expect=2)
    assert "--input is not JSON" in wrong.err
