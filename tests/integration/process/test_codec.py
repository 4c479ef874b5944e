"""The worker as a process of its own, with keys for the payloads of Temporal."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from temporalio.client import Client

from process_worker.workflow.keys import temporal_schedule_id, workflow_id
from refinery_client import Draft, Execution, ExecutionState, Refinery
from refinery_core.vibe.model import VibeType
from tests.integration.conftest import AUTHOR, Services
from tests.integration.process.replaying import histories
from tests.support.ports import free_port
from tests.support.processes import ServiceProcess
from tests.support.waiting import PATIENCE, until
from tests.support.web import web

CANARY: Final = "canary-7d20"
PLACES: Final = {"document", "task", "input", "computed", "answer", "child", "reason", "fault"}
"""The places of data that Temporal sees without keys."""


def tasks(base: str) -> list[Any]:
    """The tasks of a process that has a canary in each place, and waits for an approval."""
    workflow = {"namespace": "x", "name": "aug:/processes/child", "version": "1.0.0"}
    fault = {"type": "about:blank", "status": 418, "title": '${ .given | sub("input"; "fault") }'}
    return [
        {f"{CANARY}-task": {"set": {"said": f"{CANARY}-document", "given": "${ $workflow.input.given }"}}},
        {"compute": {"set": {"made": '${ .given | sub("input"; "computed") }'}}},
        {"ask": {"call": "http", "with": {"endpoint": f"{base}/a", "method": "post", "body": "${ . }"}}},
        {"large": {"call": "http", "with": {"endpoint": f"{base}/large", "method": "get"}}},
        {"beget": {"run": {"workflow": {**workflow, "input": "${ $workflow.input }"}}}},
        {
            "hear": {
                "listen": {"to": {"one": {"with": {"type": "refinery.approval.v1"}}}},
                "output": {"as": "${ .[0] + {given: $workflow.input.given} }"},
            }
        },
        {
            "decide": {
                "switch": [{"no": {"when": "${ .approved | not }", "then": "fall"}}, {"yes": {"then": "end"}}]
            }
        },
        {"fall": {"raise": {"error": fault}}},
    ]


@dataclass
class Worker:
    """The worker, which may be stopped and started with other keys, and its clients."""

    program: ServiceProcess
    environment: dict[str, str]
    keys: Path
    services: Services
    refinery: Refinery
    temporal: Client
    others: set[str]
    """The workflows of other tests."""
    started: list[UUID] = field(default_factory=list)

    def make(self, *names: str) -> None:
        """Make keys."""
        for name in names:
            (self.keys / name).write_bytes(os.urandom(32))

    async def process(self, name: str, do: list[Any], **fields: Any) -> None:
        """Refine a process."""
        document = {"dsl": "1.0.3", "namespace": "tests", "name": name, "version": "1.0.0"}
        solution = {"document": document, "do": do, **fields}
        await self.services.refine(Draft(type=VibeType.PROCESS, id=f"processes/{name}", solution=solution))

    async def serve(self, current: str | None) -> None:
        """Start, or start again, with the key that encrypts."""
        self.program.kill()
        keys = (
            {}
            if current is None
            else {"REFINERY_TEMPORAL_KEYS": str(self.keys), "REFINERY_TEMPORAL_KEY": current}
        )
        self.program.becomes(self.environment | keys)
        self.program.start()
        await self.program.ready()

    async def execute(self) -> UUID:
        """Execute until it waits for the approval."""
        execution = await self.refinery.execute_process(
            "aug:/processes/secret", author_ref=AUTHOR, input={"given": f"{CANARY}-input"}
        )
        self.started.append(execution.execution.id)

        async def waits() -> bool:
            return bool((await self.stands(self.started[-1])).listening)

        await until(waits)
        return self.started[-1]

    async def stands(self, id_: UUID) -> Execution:
        """The state of an execution."""
        return (await self.refinery.get_execution(id_)).execution

    async def approve(self, id_: UUID, *, approved: bool = True) -> Execution:
        """Answer it, and wait for its end."""
        await self.refinery.send_event(
            id_,
            author_ref=AUTHOR,
            id=str(uuid.uuid4()),
            type="refinery.approval.v1",
            data={"approved": approved, "comment": f"{CANARY}-reason"},
            timeout_seconds=PATIENCE,
        )
        return await self.ended(id_)

    async def ended(self, id_: UUID) -> Execution:
        """Wait for its end."""

        async def has_ended() -> bool:
            return (await self.stands(id_)).state is not ExecutionState.RUNNING

        await until(has_ended)
        return await self.stands(id_)

    async def raw(self) -> bytes:
        """All that Temporal has of them."""
        found = b""
        ids = {each.id async for each in self.temporal.list_workflows()} - self.others
        for id_ in ids:
            handle = self.temporal.get_workflow_handle(id_)
            found += (await handle.describe()).raw_description.SerializeToString()
            for history in await histories(self.temporal, id_):
                found += b"".join(event.SerializeToString() for event in history.events)
        return found


@pytest.fixture
async def worker(services: Services, temporal: Client, tmp_path: Path) -> AsyncIterator[Worker]:
    """A worker that was not started yet, and the processes that it executes."""
    keys = tmp_path / "keys"
    keys.mkdir()
    program = ServiceProcess("process_worker", "", tmp_path / "worker.log")
    async with web() as served, Refinery.connect(process=program.address) as refinery:
        served.script({"/a": [(200, f"{CANARY}-answer")], "/large": [(200, CANARY * (30 << 10))]})
        environment = {
            "REFINERY_LEDGER": services.address,
            "REFINERY_RESOLVER": services.address,
            "REFINERY_TEMPORAL_ADDRESS": temporal.service_client.config.target_host,
            "REFINERY_HTTP_ALLOW": served.base.removeprefix("http://"),
            "REFINERY_LOG_LEVEL": "debug",
        }
        others = {each.id async for each in temporal.list_workflows()}
        worker = Worker(program, environment, keys, services, refinery, temporal, others)
        await worker.process("child", [{"say": {"set": {"made": '${ .given | sub("input"; "child") }'}}}])
        await worker.process("secret", tasks(served.base))
        try:
            yield worker
        finally:
            program.kill()


@asynccontextmanager
async def codec_server(keys: Path) -> AsyncIterator[str]:
    """The codec server with the key `one`, and its address."""
    listen = f"127.0.0.1:{free_port()}"
    names = {"REFINERY_TEMPORAL_KEYS": str(keys), "REFINERY_TEMPORAL_KEY": "one"}
    module = [sys.executable, "-m", "process_worker.temporal.codec_server"]
    server = await asyncio.create_subprocess_exec(
        *module, env={**os.environ, **names, "REFINERY_CODEC_LISTEN": listen}
    )

    async def listens() -> bool:
        assert server.returncode is None
        try:
            _, writer = await asyncio.open_connection(*listen.split(":"))
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens)
        yield f"http://{listen}"
    finally:
        server.kill()
        await server.wait()


async def temporal_says(*arguments: str) -> str:
    """The output of Temporal's command."""
    program = str(Path(sysconfig.get_path("scripts"), "temporal"))
    command = await asyncio.create_subprocess_exec(program, *arguments, stdout=subprocess.PIPE)
    out, _ = await command.communicate()
    assert command.returncode == 0
    return out.decode()


@pytest.mark.parametrize("current", ["one", None])
async def test_with_keys_temporal_and_the_log_see_no_data(worker: Worker, current: str | None) -> None:
    worker.make("one")
    await worker.serve(current)
    done = await worker.approve(await worker.execute())
    assert done.state is ExecutionState.COMPLETED
    assert done.result_ref is not None
    result = (await worker.services.refinery.get_vibe(done.result_ref)).solution
    assert result["comment"] == f"{CANARY}-reason"
    faulted = await worker.approve(await worker.execute(), approved=False)
    assert faulted.state is ExecutionState.FAULTED
    assert faulted.problem is not None
    assert faulted.problem.title == f"{CANARY}-fault"
    terminated = await worker.execute()
    await worker.refinery.terminate_execution(terminated, reason=f"{CANARY}-end", author_ref=AUTHOR)

    async def listed() -> bool:
        return {each.id async for each in worker.refinery.list_executions()} >= set(worker.started)

    await until(listed)

    raw = await worker.raw()
    seen = {place for place in PLACES if f"{CANARY}-{place}".encode() in raw}
    assert seen == (set() if current else PLACES)
    if current:
        assert CANARY.encode() not in raw
    assert CANARY not in worker.program.log


async def test_an_execution_goes_on_under_another_key_and_from_the_clear(worker: Worker) -> None:
    worker.make("one")
    await worker.serve(None)
    from_the_clear = await worker.execute()
    await worker.serve("one")
    from_one = await worker.execute()
    worker.make("two")
    await worker.serve("two")
    for id_ in (from_the_clear, from_one):
        assert (await worker.approve(id_)).state is ExecutionState.COMPLETED
    (history,) = await histories(worker.temporal, workflow_id(from_one))
    raw = b"".join(event.SerializeToString() for event in history.events)
    assert raw.count(b"encryption-key-id\x12\x03one") > 0
    assert raw.count(b"encryption-key-id\x12\x03two") > 0


@pytest.mark.parametrize("meanwhile", ["two", None])
async def test_without_its_key_an_execution_waits_until_the_key_is_there(
    worker: Worker, meanwhile: str | None
) -> None:
    worker.make("one", "two")
    await worker.serve("one")
    await worker.process("later", [{"pause": {"wait": {"seconds": 2}}}, {"say": {"set": {"n": 1}}}])
    id_ = (await worker.refinery.execute_process("aug:/processes/later", author_ref=AUTHOR)).execution.id
    worker.program.kill()
    (worker.keys / "one").rename(worker.keys.parent / "away")
    await worker.serve(meanwhile)
    await until(lambda: "Failed handling activation" in worker.program.log)
    assert "The key 'one' of a payload of Temporal is not known" in worker.program.log
    assert id_ in {each.id async for each in worker.refinery.list_executions()}
    (worker.keys.parent / "away").rename(worker.keys / "one")
    if meanwhile is None:
        await worker.serve("one")
    assert (await worker.ended(id_)).state is ExecutionState.COMPLETED


async def test_a_schedule_is_read_and_fires_with_keys(worker: Worker) -> None:
    await worker.process(
        "rare", [{"say": {"set": {"given": "${ .given }"}}}], schedule={"cron": "0 0 29 2 *"}
    )
    worker.make("one")
    await worker.serve("one")
    scheduled = await worker.refinery.schedule_process(
        "aug:/processes/rare", author_ref=AUTHOR, input={"given": f"{CANARY}-input"}
    )
    id_ = scheduled.schedule.id
    assert [each.id async for each in worker.refinery.list_schedules()] == [id_]
    handle = worker.temporal.get_schedule_handle(temporal_schedule_id(id_))
    await handle.trigger()

    async def fired() -> bool:
        found = worker.refinery.list_executions(process_ref="main@processes/rare?1")
        return [each.state async for each in found] == [ExecutionState.COMPLETED]

    await until(fired)
    assert len((await worker.refinery.get_schedule(id_)).firings) == 1
    raw = (await handle.describe()).raw_description.SerializeToString() + await worker.raw()
    assert CANARY.encode() not in raw
    assert b"aug:/processes/rare" not in raw


async def test_the_command_of_temporal_reads_histories_through_the_codec_server(worker: Worker) -> None:
    worker.make("one")
    await worker.serve("one")
    id_ = await worker.execute()
    async with codec_server(worker.keys) as endpoint:
        show = ["workflow", "show", "--workflow-id", workflow_id(id_), "--output", "json"]
        address = ["--address", worker.environment["REFINERY_TEMPORAL_ADDRESS"]]
        said = await temporal_says(*show, *address, "--codec-endpoint", endpoint)
    answer = base64.b64encode(f'{{"output":"{CANARY}-answer"}}'.encode()).decode()
    assert answer in said
    assert answer not in await temporal_says(*show, *address)
