"""The baseline for processes: the same activities, called by a workflow that is written by hand."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from process_worker.activities.definitions import Activities
from process_worker.activities.outside.calls import Calls
from process_worker.activities.outside.gateway import Gateway
from process_worker.engine.keys import commit_key
from process_worker.jq.evaluator import Evaluator
from process_worker.settings import Settings
from process_worker.temporal.connect import connect
from process_worker.temporal.payloads import converter
from process_worker.workflow import steps
from process_worker.workflow.keys import result_key
from process_worker.workflow.messages import Result, Start
from refinery_client import Refinery
from refinery_core.serving.server import run
from refinery_core.settings import from_environment

QUEUE: Final = "by-hand"
_RETRY: Final = RetryPolicy(initial_interval=timedelta(milliseconds=200))


@workflow.defn(sandboxed=False)
class ByHand:
    """A number of calls of one capability, one after the other, and a commit of the last answer."""

    @workflow.run
    async def run(self, start: Start) -> Result:
        """Execute it; the input gives the capability and the number of calls."""
        behalf = steps.Behalf(start.author_ref, start.branch, start.process_ref, start.record_ref)
        id_, output = workflow.info().workflow_id, None
        for number in range(start.input["calls"]):
            pointer = f"/do/{number}"
            perform = steps.Perform(
                "capability", pointer, str(commit_key(id_, pointer)), start.input["what"], behalf
            )
            performed: steps.Performed = await workflow.execute_activity(
                steps.PERFORM,
                perform,
                result_type=steps.Performed,
                start_to_close_timeout=timedelta(hours=1),
                heartbeat_timeout=timedelta(seconds=6),
                retry_policy=_RETRY,
            )
            output = performed.output
        return Result((await self._commit(start, output, behalf)).ref)

    async def _commit(self, start: Start, output: Any, behalf: steps.Behalf) -> steps.Committed:
        commit = steps.Commit(
            key=str(result_key(workflow.info().workflow_id)),
            result_id=start.result_id,
            output=output,
            behalf=behalf,
            target_refs=[start.record_ref],
            instruction_refs=[start.process_ref],
        )
        committed: steps.Committed = await workflow.execute_activity(
            steps.COMMIT,
            commit,
            result_type=steps.Committed,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=_RETRY,
        )
        return committed


async def main() -> None:
    """Work until killed, with the settings of the process worker."""
    settings = from_environment(Settings)
    async with Refinery.connect(ledger=settings.ledger, resolver=settings.resolver) as refinery:
        client = await connect(settings, converter(refinery, settings.worker_author_ref))
        with Evaluator(children=max(2, os.cpu_count() or 2)) as evaluator:
            activities = Activities(Calls.of(refinery, evaluator, Gateway()))
            worker = Worker(
                client,
                task_queue=QUEUE,
                workflows=[ByHand],
                activities=[activities.perform, activities.commit],
                workflow_runner=UnsandboxedWorkflowRunner(),
                max_cached_workflows=1_000,
                max_concurrent_workflow_tasks=16,
                max_concurrent_activities=100,
            )
            await worker.run()


if __name__ == "__main__":
    run(main)  # As the worker of processes does, on the same event loop.
