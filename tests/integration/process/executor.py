"""The real worker in this process, on a real Temporal and before a real ledger, with a web to call."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from process_worker.activities.outside.gateway import Gateway
from process_worker.door.executions import Executions
from process_worker.door.schedules import Schedules
from process_worker.engine.contract import Delivery
from process_worker.records.ledger import Ledger
from process_worker.temporal.client import Temporal
from process_worker.temporal.payloads import converter
from process_worker.temporal.timetable import Timetable
from process_worker.worker import build, reaching
from process_worker.workflow.keys import workflow_id
from process_worker.workflow.messages import (
    DELIVER,
    PROGRESS,
    TASK_QUEUE,
    WORKFLOW,
    Progress,
    ProgressAsked,
    Result,
    Start,
)
from refinery_client import Draft
from refinery_core.vibe.model import VibeType
from tests.cases.scenario import WORLD, Scenario
from tests.integration.conftest import AUTHOR, Services
from tests.support.web import Web, web


@dataclass
class Executor:
    """A worker on a real Temporal before a real ledger, and a web that answers as it is told."""

    services: Services
    client: Client
    web: Web

    async def process(self, scenario: Scenario) -> str:
        """Refine the process of a scenario, whose world is the web."""
        text = json.dumps(scenario.document).replace(WORLD, self.web.base)
        draft = Draft(type=VibeType.PROCESS, id=f"processes/{uuid.uuid4()}", solution=json.loads(text))
        (ref,) = await self.services.refine(draft)
        return ref

    async def start(self, process_ref: str, input_: Any = None, **fields: Any) -> WorkflowHandle[Any, Result]:
        """Start the workflow type directly."""
        execution = uuid.uuid4()
        given = Start(
            process_ref=process_ref,
            record_ref=process_ref,
            author_ref=AUTHOR,
            branch="main",
            result_id=f"results/{execution}",
            input=input_,
        )
        return await self.client.start_workflow(
            WORKFLOW,
            replace(given, **fields),
            id=workflow_id(execution),
            task_queue=TASK_QUEUE,
            result_type=Result,
        )

    async def output(self, handle: WorkflowHandle[Any, Result]) -> Any:
        """The solution of its result."""
        result = await handle.result()
        return (await self.services.refinery.get_vibe(result.result_ref)).solution

    async def outcome(self, handle: WorkflowHandle[Any, Result]) -> Any:
        """The solution of its result, or the problem that it ended with."""
        try:
            return await self.output(handle)
        except WorkflowFailureError as failure:
            cause = failure.cause
            return cause.details[0] if isinstance(cause, ApplicationError) and cause.details else cause

    async def carry_out(self, scenario: Scenario, **fields: Any) -> Any:
        """Carry a scenario out."""
        handle = await self.start(await self.process(scenario), scenario.input, **fields)
        for event in scenario.events:
            await self.deliver(handle, event)
        return await self.outcome(handle)

    async def deliver(self, handle: WorkflowHandle[Any, Result], event: dict[str, Any]) -> str:
        """Record an event and deliver it; say its ref."""
        ref = await self.services.record(f"events/{uuid.uuid4()}", solution=event["data"])
        delivery = Delivery(**{**event, "event_ref": ref})
        await handle.execute_update(DELIVER, delivery, result_type=bool)
        return ref


@asynccontextmanager
async def executing(services: Services, temporal: Client) -> AsyncIterator[Executor]:
    """Everything, until the block is left."""
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(web())
        config = temporal.config()
        config["data_converter"] = converter(services.refinery, AUTHOR)
        client = Client(**config)
        host = served.base.removeprefix("http://")
        calls = await stack.enter_async_context(reaching(services.refinery, Gateway.of(host)))
        schedules = Schedules(Executions(Ledger(services.refinery), Temporal(client)), Timetable(client))
        await stack.enter_async_context(build(client, calls, schedules))
        yield Executor(services, client, served)


async def progress(handle: WorkflowHandle[Any, Result], after: int = 0) -> Progress:
    """The progress of an execution."""
    asked: Progress = await handle.query(PROGRESS, ProgressAsked(after), result_type=Progress)
    return asked
