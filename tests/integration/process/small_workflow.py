"""A workflow of the same type and messages as the real one; its input says how it goes."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from process_worker.keys import result_key
from process_worker.messages import (
    DELIVER,
    PROGRESS,
    TASK_QUEUE,
    WORKFLOW,
    Delivery,
    Problem,
    Progress,
    ProgressAsked,
    Result,
    Start,
    TaskEvent,
)
from refinery_client import Draft, Refinery
from refinery_core.vibe.model import VibeType

TASK = "/do/0/first"


@workflow.defn(name=WORKFLOW, sandboxed=False)
class SmallWorkflow:
    """
    One task. The input has `fault` (it faults) or `listen` (it waits for an event); what it heard, and the
    input itself, become the result.
    """

    def __init__(self) -> None:
        self.events: list[TaskEvent] = []
        self.heard: dict[str, Delivery] = {}
        self.state = "RUNNING"
        self.listens = False

    @workflow.run
    async def run(self, start: Start) -> Result:
        self._say("TASK_STARTED")
        if isinstance(start.input, dict) and "fault" in start.input:
            problem = Problem("about:blank", 418, "It is a teapot", instance=TASK)
            self._say("TASK_FAULTED", problem)
            self._say("EXECUTION_ENDED", problem)
            raise ApplicationError("It is a teapot", asdict(problem), type="fault", non_retryable=True)
        if isinstance(start.input, dict) and "listen" in start.input:
            self.listens = True
            await workflow.wait_condition(lambda: bool(self.heard))
            self.listens = False
        heard = [asdict(delivery) for delivery in self.heard.values()]
        self._say("TASK_ENDED")
        result: str = await workflow.execute_activity(
            "commit",
            args=[start, heard, workflow.info().workflow_id],
            start_to_close_timeout=timedelta(seconds=10),
            result_type=str,
        )
        self._say("EXECUTION_ENDED")
        return Result(result)

    @workflow.query(name=PROGRESS)
    def progress(self, asked: ProgressAsked) -> Progress:
        return Progress(
            state=self.state,
            tasks=[TASK],
            listening=[{"with": {"type": "heard"}}] if self.listens else [],
            events=[event for event in self.events if event.number > asked.after_number],
            last_number=len(self.events),
        )

    @workflow.update(name=DELIVER)
    async def deliver(self, delivery: Delivery) -> bool:
        new = delivery.id not in self.heard
        self.heard.setdefault(delivery.id, delivery)
        await asyncio.sleep(0)
        return new

    def _say(self, kind: str, problem: Problem | None = None) -> None:
        time_us = round(workflow.time() * 1_000_000)
        self.events.append(TaskEvent(len(self.events) + 1, kind, TASK, time_us, problem))


class Commits:
    """The one activity."""

    def __init__(self, refinery: Refinery) -> None:
        self.refinery = refinery

    @activity.defn
    async def commit(self, start: Start, heard: list[dict[str, Any]], workflow_id: str) -> str:
        solution = {"input": start.input, "input_ref": start.input_ref, "heard": heard}
        refined = await self.refinery.refine(
            request_id=result_key(workflow_id),
            author_ref=start.author_ref,
            branch=start.branch,
            target_refs=[start.record_ref, *start.target_refs],
            instruction_refs=[start.process_ref],
            drafts=[Draft(type=VibeType.RECORD, id=start.result_id, solution=solution)],
        )
        return refined.vibes[0].ref


def small_worker(client: Client, refinery: Refinery) -> Worker:
    """A worker on the queue of the real one."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[SmallWorkflow],
        activities=[Commits(refinery).commit],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
