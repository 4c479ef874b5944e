"""A real Temporal for the run, and the process service in this process before a ledger of its own."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from process_worker.activities.outside.calls import Calls
from process_worker.activities.outside.functions import Function
from process_worker.activities.outside.gateway import Gateway
from process_worker.door.capabilities import Capabilities
from process_worker.door.executions import Executions
from process_worker.door.schedules import Schedules
from process_worker.door.servicer import NAME, ProcessServicer
from process_worker.jq.evaluator import Evaluator
from process_worker.records.ledger import Ledger
from process_worker.settings import Settings
from process_worker.temporal.client import Temporal
from process_worker.temporal.connect import connect
from process_worker.temporal.payloads import converter
from process_worker.temporal.timetable import Timetable
from process_worker.worker import build
from refinery.process.v1 import process_service_pb2_grpc as pb_grpc
from refinery_client import ABSENT, Draft, Refinery
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import Service
from refinery_core.vibe.model import VibeType
from refinery_local import leash
from tests.integration.conftest import AUTHOR, Services
from tests.integration.process.executor import Executor, executing
from tests.support import serving
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE
from tests.support.web import Web, web

ELSEWHERE = "elsewhere"
"""A second namespace, which knows nothing of what happens in the first."""


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    """The address of the Temporal server of this run, which keeps everything in memory."""
    port = free_port()
    program = str(Path(sysconfig.get_path("scripts"), "temporal"))
    options = ["--ip", "127.0.0.1", "--port", str(port), "--headless", "--log-level", "never"]
    options += ["--namespace", ELSEWHERE]
    process = subprocess.Popen(
        leash.command([program, "server", "start-dev", *options], at_parent_death=signal.SIGKILL),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _listens(port):
            assert process.poll() is None, "Temporal did not start"
            assert time.monotonic() < deadline, "Temporal did not listen in time"
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
async def temporal(temporal_address: str) -> AsyncIterator[Client]:
    """A client of a Temporal on which nothing runs; what a test leaves running is terminated."""
    client = await connect(Settings(temporal_address=temporal_address, start_seconds=PATIENCE))
    yield client
    async for execution in client.list_workflows("ExecutionStatus = 'Running'"):
        # The list lags behind: it may have ended by now.
        with contextlib.suppress(RPCError):
            await client.get_workflow_handle(execution.id).terminate()
    async for schedule in await client.list_schedules():
        with contextlib.suppress(RPCError):
            await client.get_schedule_handle(schedule.id).delete()


SMALL: Final[list[Any]] = [
    {
        "first": {
            "switch": [
                {"fault": {"when": '${ has("fault") }', "then": "fall"}},
                {"listen": {"when": '${ has("listen") }', "then": "hear"}},
                {"else": {"then": "say"}},
            ]
        }
    },
    {"fall": {"raise": {"error": {"type": "about:blank", "status": 418, "title": "It is a teapot"}}}},
    {
        "hear": {
            "listen": {
                "to": {"any": [{"with": {"type": "heard"}}, {"with": {"type": "refinery.approval.v1"}}]},
                "read": "envelope",
            },
            "export": {"as": {"heard": "${ . }"}},
        }
    },
    {"say": {"set": {"input": "${ $workflow.input }", "heard": "${ $context.heard }"}}},
]
"""Its input has `fault`, to fault, or `listen`, to wait for an event; its result has the input and events."""


@dataclass(frozen=True)
class Processes:
    """The process service, with a ledger behind it and a web before it; `functions` are those it calls."""

    stub: pb_grpc.ProcessServiceStub
    address: str
    services: Services
    temporal: Client
    executions: Executions
    drain: Drain
    web: Web
    functions: dict[str, Function]

    async def capability(self, solution: dict[str, Any], id_: str = "capabilities/x") -> str:
        """Refine a Capability Vibe, and say its ref."""
        (ref,) = await self.services.refine(Draft(type=VibeType.CAPABILITY, id=id_, solution=solution))
        return ref

    async def process(
        self, id_: str, do: list[Any] | None = None, *, schema: Any = ABSENT, **fields: Any
    ) -> str:
        """Refine a Process Vibe, and say its ref."""
        document = {"dsl": "1.0.3", "namespace": "tests", "name": "small", "version": "1.0.0"}
        solution = {"document": document, "do": do or SMALL, **fields}
        draft = Draft(type=VibeType.PROCESS, id=id_, schema=schema, solution=solution)
        (ref,) = await self.services.refine(draft)
        return ref


@pytest.fixture(scope="session")
def evaluator() -> Iterator[Evaluator]:
    """One evaluator for all tests: evaluations leave nothing behind."""
    with Evaluator(children=1) as evaluator:
        yield evaluator


@pytest.fixture
async def processes(services: Services, temporal: Client, evaluator: Evaluator) -> AsyncIterator[Processes]:
    """The process service and its worker, as they run together."""
    config = temporal.config()
    config["data_converter"] = converter(services.refinery, AUTHOR)
    client, ledger = Client(**config), Ledger(services.refinery)
    executions = Executions(ledger, Temporal(client))
    schedules, drain = Schedules(executions, Timetable(client)), Drain()
    async with web() as served:
        gateway = Gateway.of(f"{served.base.removeprefix('http://')},{services.address}")
        calls = Calls.of(services.refinery, evaluator, gateway)
        functions = dict(calls.functions)
        capabilities = Capabilities(ledger, replace(calls, functions=functions))
        servicer = ProcessServicer(executions, schedules, capabilities, drain)
        service = Service(NAME, partial(pb_grpc.add_ProcessServiceServicer_to_server, servicer))
        async with (
            build(client, calls, schedules),
            serving.served(service, drain=drain) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            stub = pb_grpc.ProcessServiceStub(channel)
            yield Processes(stub, server.address, services, client, executions, drain, served, functions)


@pytest.fixture
async def executor(services: Services, temporal: Client) -> AsyncIterator[Executor]:
    """The real worker, with everything that it needs."""
    async with executing(services, temporal) as executor:
        yield executor


@pytest.fixture
async def client(processes: Processes) -> AsyncIterator[Refinery]:
    """A client of the process service."""
    async with Refinery.connect(process=processes.address) as refinery:
        yield refinery
