"""Every call of the three services is asked for a right: the table says which, and what is answered without it."""

# ruff: noqa: E501 - a row of the table is one line

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc
import pytest
from temporalio.client import Client

from ledger_service.__main__ import NAME as LEDGER
from ledger_service.commit import Committer
from ledger_service.feed import Feed
from ledger_service.refine import Refiner
from ledger_service.servicer import LedgerServicer
from process_worker.activities.outside.calls import Calls
from process_worker.activities.outside.gateway import Gateway
from process_worker.door.capabilities import Capabilities
from process_worker.door.executions import Executions
from process_worker.door.schedules import Schedules
from process_worker.door.servicer import NAME as PROCESS
from process_worker.door.servicer import ProcessServicer
from process_worker.jq.evaluator import Evaluator
from process_worker.records.ledger import Ledger
from process_worker.temporal.client import Temporal
from process_worker.temporal.payloads import converter
from process_worker.temporal.timetable import Timetable
from process_worker.worker import build
from refinery.ledger.v1 import ledger_service_pb2 as ledger_pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as ledger_grpc
from refinery.process.v1 import process_service_pb2 as pb
from refinery.process.v1 import process_service_pb2_grpc as pb_grpc
from refinery.resolver.v1 import resolver_service_pb2 as resolver_pb
from refinery.resolver.v1 import resolver_service_pb2_grpc as resolver_grpc
from refinery.vibe.v1 import vibe_pb2
from refinery_client import Draft, Execution, Refinery
from refinery_client.reading import reading_as
from refinery_client.refusals import refusal_from
from refinery_core.errors import PermissionDenied, Unauthenticated, UnknownReference
from refinery_core.postgres.database import Database as Store
from refinery_core.postgres.pool import open_pool
from refinery_core.postgres.verify import verify
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import Service
from refinery_core.stored.composition import Composer
from refinery_core.stored.rights import Rights
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.roles import Verb
from resolver_service.__main__ import NAME as RESOLVER
from resolver_service.schemas import Schemas
from resolver_service.servicer import ResolverServicer
from tests.conftest import Database
from tests.integration.process.conftest import SMALL
from tests.support.issuing import ISSUER, Issuing, trusting
from tests.support.serving import served
from tests.support.waiting import PATIENCE

GENESIS: Final = "main@system/genesis?1"
EVERYTHING = [{"do": [verb for verb in Verb if verb is not Verb.CARRY_OUT]}]
WORKER = [
    {"do": ["carry-out"], "ids": ["executions/**", "schedules/**"]},
    {"do": ["refine"], "ids": ["executions/**"]},
    {"do": ["read"]},
]


@dataclass(frozen=True)
class World:
    """The three services, an execution that listens, a schedule, and somebody for each token."""

    address: str
    database: Database
    issuing: Issuing
    execution: str
    schedule: str

    def metadata(self, who: str | None) -> tuple[tuple[str, str], ...]:
        return () if who is None else (("authorization", f"Bearer {self.issuing.token(sub=who)}"),)

    @contextlib.asynccontextmanager
    async def client(self, who: str) -> AsyncIterator[Refinery]:
        token = self.issuing.token(sub=who)
        address = self.address
        async with Refinery.connect(
            ledger=address, resolver=address, process=address, token=token, timeout_seconds=PATIENCE
        ) as refinery:
            yield refinery


@dataclass(frozen=True)
class Row:
    """A call: the right it needs, as words, and the reason that whoever lacks it is told; None: nothing is shown."""

    verb: str
    of: str
    request: Callable[[World], Any]
    without: str | None


def new() -> str:
    return str(uuid.uuid4())


def draft(id_: str = "orders/1") -> ledger_pb.Draft:
    return ledger_pb.Draft(type=vibe_pb2.VIBE_TYPE_RECORD, id=id_, solution=vibe_pb2.Document(json="1"))


def refine(_: World) -> ledger_pb.RefineRequest:
    return ledger_pb.RefineRequest(request_id=new(), author_ref="aug:/roles/all", drafts=[draft()])


KNOWN = "to be known"
ROWS: dict[str, Row] = {
    "ledger/Refine": Row("refine", "each draft's id, branches and type", refine, "PERMISSION_DENIED"),
    "ledger/RefineStream": Row("refine", "each draft's id, branches and type", lambda w: ledger_pb.RefineStreamRequest(refine=refine(w)), "PERMISSION_DENIED"),
    "ledger/GetVibe": Row("read", "the Vibe", lambda _: ledger_pb.GetVibeRequest(reference="aug:/processes/small"), "VIBE_NOT_FOUND"),
    "ledger/BatchGetVibes": Row("read", "each Vibe", lambda _: ledger_pb.BatchGetVibesRequest(references=["aug:/processes/small"]), "VIBE_NOT_FOUND"),
    "ledger/ListVibes": Row("read", "each Vibe", lambda _: ledger_pb.ListVibesRequest(), None),
    "ledger/ListRevisions": Row("read", "each Vibe", lambda _: ledger_pb.ListRevisionsRequest(id="processes/small"), "VIBE_NOT_FOUND"),
    "ledger/GetRefinement": Row("read", "one of its Vibes", lambda _: ledger_pb.GetRefinementRequest(position=3), "REFINEMENT_NOT_FOUND"),
    "ledger/ListRefinements": Row("read", "one of its Vibes", lambda _: ledger_pb.ListRefinementsRequest(), None),
    "ledger/TraceLineage": Row("read", "each Vibe", lambda _: ledger_pb.TraceLineageRequest(reference="aug:/processes/small"), "VIBE_NOT_FOUND"),
    "ledger/WatchVibes": Row("read", "each Vibe", lambda _: ledger_pb.WatchVibesRequest(), "PERMISSION_DENIED"),
    "ledger/CreateBranch": Row("branch", "its name", lambda _: ledger_pb.CreateBranchRequest(request_id=new(), name=f"b{new()}", author_ref="aug:/roles/all"), "PERMISSION_DENIED"),
    "ledger/ListBranches": Row("read", "the RECORD of each branch", lambda _: ledger_pb.ListBranchesRequest(name_prefix="x"), None),
    "ledger/GetLedger": Row(KNOWN, "", lambda _: ledger_pb.GetLedgerRequest(), None),
    "ledger/WhoAmI": Row(KNOWN, "", lambda _: ledger_pb.WhoAmIRequest(), None),
    "ledger/CheckAccess": Row("read", "system/genesis, about others", lambda _: ledger_pb.CheckAccessRequest(principal="x509:other", verb=vibe_pb2.VERB_READ, id="a"), "PERMISSION_DENIED"),
    "ledger/ListDenials": Row("read", "system/genesis", lambda _: ledger_pb.ListDenialsRequest(), "PERMISSION_DENIED"),
    "resolver/ResolveReference": Row("read", "the Vibe", lambda _: resolver_pb.ResolveReferenceRequest(reference="aug:/processes/small"), "VIBE_NOT_FOUND"),
    "resolver/ResolveSchema": Row("read", "the Vibe", lambda _: resolver_pb.ResolveSchemaRequest(reference="aug:/schemas/any"), "VIBE_NOT_FOUND"),
    "resolver/ValidateSolution": Row("read", "the Vibe", lambda _: resolver_pb.ValidateSolutionRequest(reference="aug:/schemas/any", solution=vibe_pb2.Document(json="1")), "VIBE_NOT_FOUND"),
    "resolver/ListDependencies": Row("read", "the Vibe", lambda _: resolver_pb.ListDependenciesRequest(reference="aug:/schemas/any"), "VIBE_NOT_FOUND"),
    "resolver/ListDependents": Row("read", "the Vibe, and each dependent", lambda _: resolver_pb.ListDependentsRequest(reference="aug:/schemas/any"), "VIBE_NOT_FOUND"),
    "resolver/AnalyzeImpact": Row("read", "the Vibe, and each that is affected", lambda _: resolver_pb.AnalyzeImpactRequest(id="schemas/any"), "VIBE_NOT_FOUND"),
    "process/ExecuteProcess": Row("execute", "the id of the process", lambda _: pb.ExecuteProcessRequest(request_id=new(), process="aug:/processes/small", author_ref="aug:/roles/all"), "VIBE_NOT_FOUND"),
    "process/GetExecution": Row("read", "the RECORD of the execution", lambda w: pb.GetExecutionRequest(id=w.execution), "EXECUTION_NOT_FOUND"),
    "process/ListExecutions": Row("read", "the RECORD of each execution", lambda _: pb.ListExecutionsRequest(), None),
    "process/WatchExecution": Row("read", "the RECORD of the execution", lambda w: pb.WatchExecutionRequest(id=w.execution), "EXECUTION_NOT_FOUND"),
    "process/SendEvent": Row("signal", "the id of the process", lambda w: pb.SendEventRequest(request_id=new(), execution_id=w.execution, author_ref="aug:/roles/all", event=pb.Event(id=new(), type="unheard", source="test")), "EXECUTION_NOT_FOUND"),
    "process/ScheduleProcess": Row("execute", "the id of the process", lambda _: pb.ScheduleProcessRequest(request_id=new(), process="aug:/processes/hourly", author_ref="aug:/roles/all"), "VIBE_NOT_FOUND"),
    "process/GetSchedule": Row("read", "the RECORD of the schedule", lambda w: pb.GetScheduleRequest(id=w.schedule), "SCHEDULE_NOT_FOUND"),
    "process/ListSchedules": Row("read", "the RECORD of each schedule", lambda _: pb.ListSchedulesRequest(), None),
    "process/PauseSchedule": Row("stop", "the id of the process", lambda w: pb.PauseScheduleRequest(id=w.schedule), "SCHEDULE_NOT_FOUND"),
    "process/ResumeSchedule": Row("stop", "the id of the process", lambda w: pb.ResumeScheduleRequest(id=w.schedule), "SCHEDULE_NOT_FOUND"),
    "process/CallCapability": Row("call", "the id of the capability", lambda _: pb.CallCapabilityRequest(request_id=new(), capability="aug:/system/capabilities/get-vibe", author_ref="aug:/roles/all", input=vibe_pb2.Document(json='{"reference": "aug:/processes/small"}')), "VIBE_NOT_FOUND"),
    "process/CancelExecution": Row("stop", "the id of the process", lambda w: pb.CancelExecutionRequest(id=w.execution), "EXECUTION_NOT_FOUND"),
    "process/TerminateExecution": Row("stop", "the id of the process", lambda w: pb.TerminateExecutionRequest(id=w.execution), "EXECUTION_NOT_FOUND"),
    "process/EndSchedule": Row("stop", "the id of the process", lambda w: pb.EndScheduleRequest(id=w.schedule), "SCHEDULE_NOT_FOUND"),
}  # fmt: skip
"""By service and method, in an order in which the one who may, may call all of them."""
SERVICES = {
    "ledger": ledger_pb.DESCRIPTOR.services_by_name["LedgerService"],
    "resolver": resolver_pb.DESCRIPTOR.services_by_name["ResolverService"],
    "process": pb.DESCRIPTOR.services_by_name["ProcessService"],
}


def test_every_call_of_the_contract_has_a_row() -> None:
    methods = {f"{name}/{method.name}" for name, service in SERVICES.items() for method in service.methods}
    assert methods == set(ROWS)


@pytest.fixture
async def world(database: Database, temporal: Client, evaluator: Evaluator) -> AsyncIterator[World]:
    issuing = Issuing()
    root, worker = (f"jwt:{ISSUER}#{name}" for name in ("root", "worker"))
    drain = Drain()
    async with contextlib.AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            await open_pool(database.app_url, application_name="refinery-ledger", max_size=6)
        )
        vibes = Vibes(Store(pool))
        feed = await stack.enter_async_context(aclosing(Feed(vibes.database, pool)))
        committer = await stack.enter_async_context(
            aclosing(Committer(vibes.database, committed=feed.committed))
        )
        rights = Rights(vibes.database, frozenset({root}))
        composer = Composer(vibes)
        ledger = LedgerServicer(Refiner(vibes, composer, committer, rights=rights), vibes, feed, drain)
        resolver = ResolverServicer(Schemas(vibes, composer, rights))
        server = await stack.enter_async_context(
            served(
                Service(LEDGER, partial(ledger_grpc.add_LedgerServiceServicer_to_server, ledger)),
                Service(RESOLVER, partial(resolver_grpc.add_ResolverServiceServicer_to_server, resolver)),
                drain=drain,
                authentication=trusting(issuing),
            )
        )
        refinery = await stack.enter_async_context(
            Refinery.connect(
                ledger=server.address,
                resolver=server.address,
                token=issuing.token(sub="worker"),
                timeout_seconds=PATIENCE,
            )
        )
        config = temporal.config()
        config["data_converter"] = converter(refinery, "aug:/roles/worker")
        client = Client(**config)
        executions = Executions(Ledger(refinery), Temporal(client))
        schedules = Schedules(executions, Timetable(client))
        calls = Calls.of(refinery, evaluator, Gateway.of(""))
        servicer = ProcessServicer(executions, schedules, Capabilities(executions.ledger, calls), Drain())
        await stack.enter_async_context(build(client, calls, schedules))
        front = await stack.enter_async_context(
            served(
                Service(PROCESS, partial(pb_grpc.add_ProcessServiceServicer_to_server, servicer)),
                Service(LEDGER, partial(ledger_grpc.add_LedgerServiceServicer_to_server, ledger)),
                Service(RESOLVER, partial(resolver_grpc.add_ResolverServiceServicer_to_server, resolver)),
                drain=servicer.drain,
                authentication=trusting(issuing),
            )
        )
        made = World(front.address, database, issuing, new(), new())
        await _fill(made, worker)
        yield made


async def _fill(world: World, worker: str) -> None:
    def role(id_: str, member: str, may: Any) -> Draft:
        return Draft(type=VibeType.ROLE, id=id_, solution={"members": [member], "may": may})

    def process(id_: str, do: Any, **fields: Any) -> Draft:
        document = {"dsl": "1.0.3", "namespace": "tests", "name": "small", "version": "1.0.0"}
        return Draft(type=VibeType.PROCESS, id=id_, solution={"document": document, "do": do, **fields})

    async with world.client("root") as refinery:
        drafts = [
            role("roles/all", f"jwt:{ISSUER}#right", EVERYTHING),
            role("roles/worker", worker, WORKER),
            process("processes/small", SMALL),
            process("processes/hourly", SMALL, schedule={"every": {"hours": 1}}),
            Draft(type=VibeType.RECORD, id="schemas/any", schema={"type": "integer"}),
        ]
        await refinery.refine(author_ref=GENESIS, drafts=drafts)
    async with world.client("right") as refinery:
        author = "aug:/roles/all"
        execution, schedule = uuid.UUID(world.execution), uuid.UUID(world.schedule)
        await refinery.execute_process(
            "aug:/processes/small", input={"listen": True}, request_id=execution, author_ref=author
        )
        await refinery.schedule_process("aug:/processes/hourly", request_id=schedule, author_ref=author)


async def answered(world: World, name: str, who: str | None) -> tuple[str | None, Any]:
    """The reason of a refusal, or None and the answer; of a watch, the first one."""
    service_name, _, method_name = name.partition("/")
    service = SERVICES[service_name]
    method = service.methods_by_name[method_name]
    row = ROWS[name]
    async with grpc.aio.insecure_channel(world.address) as channel:
        shape = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        answer_type = {
            pb_: getattr(pb_, method.output_type.name, None) for pb_ in (ledger_pb, resolver_pb, pb)
        }
        kind = next(found for found in answer_type.values() if found is not None)
        stub = getattr(channel, shape)(
            f"/{service.full_name}/{method_name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=kind.FromString,
        )
        request = row.request(world)
        call = stub(
            iter([request]) if method.client_streaming else request,
            metadata=world.metadata(who),
            timeout=PATIENCE,
        )
        try:
            answer = await anext(aiter(call)) if method.server_streaming else await call
        except grpc.aio.AioRpcError as error:
            return refusal_from(error).reason, None
        except StopAsyncIteration:
            return None, None
        finally:
            call.cancel()
        refusal = getattr(answer, "refusal", None)
        if refusal is not None and refusal.reason:
            return refusal.reason, None
        return None, answer


async def test_a_right_is_asked_for_by_every_call(world: World) -> None:
    for name, row in ROWS.items():
        assert (await answered(world, name, None))[0] == Unauthenticated.reason, name
        reason, answer = await answered(world, name, "wrong")
        assert reason == row.without, f"{name}: {reason}"
        if reason is None and row.verb != KNOWN:
            lists = [value for field, value in answer.ListFields() if field.message_type is not None]
            assert not any(lists), f"{name} shows {answer}"
    for name in ROWS:
        reason, _ = await answered(world, name, "right")
        # It was cancelled just before.
        assert reason == ("EXECUTION_ENDED" if name == "process/TerminateExecution" else None), (
            f"{name}: {reason}"
        )
    report = await verify(world.database.reader_url)
    assert report.is_sound, report.findings
    assert report.genesis == [f"jwt:{ISSUER}#root"]


async def test_whoever_reads_a_process_needs_a_right_to_execute_it(world: World) -> None:
    async with world.client("root") as refinery:
        reading = {"members": [f"jwt:{ISSUER}#reader"], "may": [{"do": ["read"]}]}
        await refinery.refine(
            author_ref=GENESIS, drafts=[Draft(type=VibeType.ROLE, id="roles/reader", solution=reading)]
        )
    for name in ("process/ExecuteProcess", "process/ScheduleProcess", "process/SendEvent", "process/CallCapability",
                 "process/CancelExecution", "process/TerminateExecution", "process/PauseSchedule", "process/EndSchedule"):  # fmt: skip
        assert (await answered(world, name, "reader"))[0] == "PERMISSION_DENIED", name


async def end_of(refinery: Refinery, id_: uuid.UUID) -> Execution:
    """The execution when it has ended."""
    last: Execution | None = None
    async for news in refinery.watch_execution(id_):
        last = news.execution or last
    assert last is not None
    return last


async def test_an_execution_acts_as_its_author_and_says_who_asked(world: World) -> None:
    async with world.client("right") as refinery:
        started = await refinery.execute_process("aug:/processes/small", author_ref="aug:/roles/all")
        ended = await end_of(refinery, started.execution.id)
        assert ended.result_ref is not None, ended
        record = await refinery.get_vibe(started.execution.record_ref)
        assert record.solution["asked_by"] == f"jwt:{ISSUER}#right"
        result = await refinery.get_refinement(vibe_ref=ended.result_ref)
    assert result.principal == result.held_as == f"jwt:{ISSUER}#worker"
    assert result.author_ref == "main@roles/all?1"
    assert result.behalf_ref == started.execution.record_ref


async def test_a_capability_reads_no_more_than_the_role_it_is_called_as(world: World) -> None:
    calling = {
        "members": [f"jwt:{ISSUER}#clerk"],
        "may": [{"do": ["call"]}, {"do": ["read"], "ids": ["system/capabilities/**", "schemas/**"]}],
    }
    async with world.client("root") as refinery:
        await refinery.refine(
            author_ref=GENESIS, drafts=[Draft(type=VibeType.ROLE, id="roles/clerk", solution=calling)]
        )
    async with world.client("clerk") as refinery:
        for reference, is_shown in (("aug:/schemas/any", True), ("aug:/processes/small", False)):
            for name in ("get-vibe", "trace-lineage"):
                called = await refinery.call_capability(
                    f"aug:/system/capabilities/{name}",
                    author_ref="aug:/roles/clerk",
                    input={"reference": reference},
                )
                assert (called.problem is None) == is_shown, called


async def test_nobody_reads_in_the_name_of_a_role_but_whoever_carries_out(world: World) -> None:
    with reading_as("roles/all"):
        async with world.client("wrong") as refinery:
            with pytest.raises(PermissionDenied, match="carries executions out"):
                await refinery.get_vibe("aug:/processes/small")
        async with world.client("worker") as refinery:
            assert (await refinery.get_vibe("aug:/processes/small")).revision == 1


async def test_an_execution_fails_at_its_next_commit_once_the_right_is_withdrawn(world: World) -> None:
    async with world.client("root") as refinery:
        less = {"members": [f"jwt:{ISSUER}#right"], "may": [{"do": ["read", "signal", "stop"]}]}
        await refinery.refine(
            author_ref=GENESIS, drafts=[Draft(type=VibeType.ROLE, id="roles/all", solution=less)]
        )
    async with world.client("right") as refinery:
        await refinery.send_event(
            uuid.UUID(world.execution), id="1", type="heard", source="test", author_ref="aug:/roles/all"
        )
        ended = await end_of(refinery, uuid.UUID(world.execution))
    assert ended.result_ref is None
    assert ended.problem is not None


SECRET: Final = "aug:/secret/plan"
STEALING: dict[str, tuple[Any, str, str]] = {
    "reads it": ({"call": "aug:/system/capabilities/get-vibe", "with": {"reference": SECRET}}, "FAULTED", "secret/plan"),
    "composes its schema": ({"call": "aug:/system/capabilities/resolve-schema", "with": {"reference": SECRET}}, "FAULTED", "secret/plan"),
    "copies it": ({"call": "aug:/system/capabilities/refine", "with": {"drafts": [{"type": "RECORD", "id": "own/copy", "prototype_ref": SECRET}]}}, "FAULTED", "secret/plan"),
    "refers to it": ({"call": "aug:/system/capabilities/refine", "with": {"drafts": [{"type": "RECORD", "id": "own/copy", "schema": {"$ref": SECRET}}]}}, "FAULTED", "secret/plan"),
    "names it as a target": ({"call": "aug:/system/capabilities/refine", "with": {"target_refs": [SECRET], "drafts": [{"type": "RECORD", "id": "own/copy"}]}}, "FAULTED", "secret/plan"),
    "writes an execution": ({"call": "aug:/system/capabilities/refine", "with": {"drafts": [{"type": "RECORD", "id": "executions/other"}]}}, "FAULTED", "executions/"),
    "calls a hidden capability": ({"call": "aug:/secret/capability"}, "UNKNOWN_REFERENCE", "aug:/secret/capability"),
    "runs a hidden process": ({"run": {"workflow": {"name": "aug:/processes/small"}}}, "UNKNOWN_REFERENCE", "aug:/processes/small"),
    "checks by a hidden schema": ({"set": {"a": 1}, "output": {"schema": {"document": {"$ref": SECRET}}}}, "UNKNOWN_REFERENCE", SECRET),
    "asks for one that is not there": ({"call": "aug:/secret/none"}, "UNKNOWN_REFERENCE", "aug:/secret/none"),
}  # fmt: skip


async def test_a_process_reads_no_more_than_its_author(world: World) -> None:
    may = [
        {"do": ["refine", "read", "execute"], "ids": ["own/**"]},
        {"do": ["read"], "ids": ["executions/**"]},
    ]
    role = {"members": [f"jwt:{ISSUER}#author"], "may": may}
    capability = {
        "call": "python",
        "with": {"function": "refinery.get_vibe", "arguments": {"reference": SECRET}},
    }
    async with world.client("root") as refinery:
        drafts = [
            Draft(type=VibeType.ROLE, id="roles/author", solution=role),
            Draft(type=VibeType.RECORD, id="secret/plan", schema={"type": "integer"}, solution=4711),
            Draft(type=VibeType.CAPABILITY, id="secret/capability", solution=capability),
        ]
        await refinery.refine(author_ref=GENESIS, drafts=drafts)
    async with world.client("author") as refinery:
        for number, (claim, (task, outcome, named)) in enumerate(STEALING.items()):
            id_ = f"own/process-{number}"
            document = {"dsl": "1.0.3", "namespace": "tests", "name": "stealing", "version": "1.0.0"}
            draft = Draft(type=VibeType.PROCESS, id=id_, solution={"document": document, "do": [{"t": task}]})
            await refinery.refine(author_ref="aug:/roles/author", drafts=[draft])
            executing = refinery.execute_process(f"aug:/{id_}", author_ref="aug:/roles/author")
            if outcome != "FAULTED":
                with pytest.raises(UnknownReference) as refusal:
                    await executing
                assert (refusal.value.reason, refusal.value.metadata["reference"]) == (outcome, named), claim
                continue
            started = await executing
            ended = await end_of(refinery, started.execution.id)
            assert (ended.state.name, "4711" in str(ended)) == (outcome, False), (claim, ended)
            assert named in str(ended.problem), (claim, ended)
    report = await verify(world.database.reader_url)
    assert report.is_sound, report.findings
