from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from process_worker.activities.outside.gateway import Gateway
from process_worker.door.executions import Executions
from process_worker.door.schedules import Schedules
from process_worker.records.ledger import Ledger
from process_worker.settings import Settings
from process_worker.temporal.client import Temporal
from process_worker.temporal.connect import connect, see_author
from process_worker.temporal.timetable import Timetable
from process_worker.worker import build, reaching
from refinery_core.certificates import Files
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import serve
from refinery_core.serving.tls import Tls
from refinery_core.settings import CannotStart
from tests.integration.conftest import AUTHOR, Services
from tests.support.tls import Authority, behind_tls
from tests.support.waiting import PATIENCE

NOBODY = "127.0.0.1:9"


def start(ledger: str) -> subprocess.CompletedProcess[str]:
    """Start a worker that nobody waits for, and see it end."""
    environment = {
        **os.environ,
        "REFINERY_LEDGER": ledger,
        "REFINERY_TEMPORAL_ADDRESS": NOBODY,
        "REFINERY_START_SECONDS": "0.1",
    }
    return subprocess.run(
        [sys.executable, "-m", "process_worker"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_without_a_ledger_the_worker_says_so_in_one_sentence() -> None:
    done = start(NOBODY)
    assert done.returncode == 1
    assert done.stderr.startswith(f"The ledger at {NOBODY} does not answer: ")
    assert done.stderr.count("\n") == 1


async def test_a_worker_that_the_ledger_does_not_let_in_says_what_it_may_need(tmp_path: Path) -> None:
    authority, drain = Authority(tmp_path), Drain()
    tls = Tls(Files(*authority.certificate("127.0.0.1"), authority.file))
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    ledger = asyncio.create_task(
        serve([], listen="127.0.0.1:0", drain=drain, tls=tls, started=port.set_result)
    )
    done = await asyncio.to_thread(start, f"127.0.0.1:{await port}")
    drain.ask()
    await ledger
    assert done.returncode == 1
    assert (
        "The server may speak TLS, or want a certificate that it trusts: see REFINERY_TLS_CA" in done.stderr
    )


@pytest.mark.parametrize(
    ("author", "why"),
    [
        ("main@roles/nope?1", "author_ref: 'main@roles/nope?1' does not exist in this context."),
        ("nope", "'nope' is not a reference"),
        ("aug:/notes/1", "author_ref"),
        ("main@notes/1?1", "'main@notes/1?1' is a RECORD; only a ROLE or a PROCESS can be an author."),
    ],
)
async def test_an_author_in_whose_name_nothing_can_be_kept_is_told(
    services: Services, author: str, why: str
) -> None:
    await services.record("notes/1")
    with pytest.raises(CannotStart) as told:
        await see_author(Ledger(services.refinery), author)
    assert str(told.value).startswith("REFINERY_WORKER_AUTHOR_REF cannot be an author: ")
    assert why in str(told.value)


async def test_to_look_at_the_author_writes_nothing(services: Services) -> None:
    before = await services.store.last_position()
    await see_author(Ledger(services.refinery), AUTHOR)
    assert await services.store.last_position() == before


FORSAKEN = """
import asyncio, sys
from temporalio import activity
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from process_worker.temporal.connect import connect
from process_worker.settings import Settings

@activity.defn
async def nothing() -> None: ...

ways = []

async def forward(reader, writer):
    ways.append(writer)
    while part := await reader.read(65_536):
        writer.write(part)

async def serve(reader, writer):
    there, back = await asyncio.open_connection(*sys.argv[1].split(":"))
    await asyncio.gather(forward(reader, back), forward(there, writer), return_exceptions=True)

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = await connect(Settings(temporal_address="127.0.0.1:%d" % server.sockets[0].getsockname()[1]))
    async with Worker(client, task_queue="forsaken", activities=[nothing]) as worker:
        while not worker.is_running:
            await asyncio.sleep(0.01)
        server.close()
        for writer in ways:
            writer.transport.abort()
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_what_the_client_of_temporal_tells_is_json_too(temporal_address: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FORSAKEN, temporal_address], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        process.kill()
    assert told["level"] == "WARN"
    assert told["fields"]["message"]


async def test_as_many_children_evaluate_as_the_operator_says(services: Services) -> None:
    async with reaching(services.refinery, Gateway(), children=3) as calls:
        assert len(calls.evaluator.pids) == 3


@workflow.defn
class Nothing:
    @workflow.run
    async def run(self) -> None: ...


async def test_a_workflow_task_may_take_as_long_as_temporal_waits_for_it(
    services: Services, temporal: Client
) -> None:
    runner = UnsandboxedWorkflowRunner()
    theirs = Worker(temporal, task_queue="theirs", workflows=[Nothing], workflow_runner=runner)
    assert theirs._workflow_worker is not None
    assert theirs._workflow_worker._deadlock_timeout_seconds == 2, "the SDK bounds it in another way now"
    async with reaching(services.refinery, Gateway()) as calls:
        executions = Executions(Ledger(services.refinery), Temporal(temporal))
        ours = build(temporal, calls, Schedules(executions, Timetable(temporal)))
    assert ours._workflow_worker is not None
    assert ours._workflow_worker._deadlock_timeout_seconds == 60


async def test_without_temporal_the_worker_says_so() -> None:
    with pytest.raises(CannotStart, match=f"Temporal at {NOBODY} does not answer"):
        await connect(Settings(temporal_address=NOBODY, start_seconds=0))


async def test_a_certificate_that_cannot_be_read_is_told_at_once() -> None:
    with pytest.raises(CannotStart, match=r"none\.pem cannot be read"):
        await connect(Settings(temporal_address=NOBODY, temporal_tls_ca="/none.pem"))


async def test_temporal_is_spoken_to_with_tls_and_both_sides_say_who_they_are(
    temporal_address: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.certificate("worker.test")
    async with behind_tls(temporal_address, authority, "temporal.test", asks_back=True) as address:
        known = Settings(
            temporal_address=address,
            temporal_tls_ca=authority.file,
            temporal_tls_cert=cert,
            temporal_tls_key=key,
            temporal_tls_server_name="temporal.test",
            start_seconds=0,
        )
        client = await connect(known)
        assert await client.service_client.check_health()
        for wrong in (
            replace(known, temporal_tls_cert=None, temporal_tls_key=None),
            replace(known, temporal_tls_server_name="other.test"),
            replace(known, temporal_tls_ca=None),
            replace(known, temporal_tls_ca=None, temporal_tls_cert=None, temporal_tls_key=None),
        ):
            with pytest.raises(CannotStart, match="does not answer"):
                await connect(wrong)


async def test_metrics_of_the_sdk_are_served_or_it_is_told(temporal_address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = Settings(temporal_address=temporal_address, temporal_metrics_listen=listen)
        with pytest.raises(CannotStart, match=r"metrics on 127\.0\.0\.1:.*in use"):
            await connect(settings)
    await (await connect(settings)).service_client.check_health()
    told = await asyncio.to_thread(_scraped, listen)
    assert "temporal_request" in told


def _scraped(listen: str) -> str:
    with urllib.request.urlopen(f"http://{listen}/metrics", timeout=PATIENCE) as answer:
        return str(answer.read().decode())


async def test_a_namespace_that_is_not_there_is_told(temporal_address: str) -> None:
    settings = Settings(temporal_address=temporal_address, temporal_namespace="nowhere", start_seconds=0)
    with pytest.raises(CannotStart, match="nowhere"):
        await connect(settings)
