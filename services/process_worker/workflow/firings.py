"""The workflow that a schedule starts at each of its times: it starts an execution, and ends."""

from __future__ import annotations

from temporalio import workflow

from process_worker.workflow import steps
from process_worker.workflow.keys import firing_key
from process_worker.workflow.messages import FIRE, Fire, Fired
from process_worker.workflow.replayed import activity


@workflow.defn(name=FIRE, sandboxed=False)
class FireSchedule:
    """One firing of one schedule. It does not wait for the execution."""

    @workflow.run
    async def run(self, fire: Fire) -> Fired:
        """
        Start the execution, once.

        Raises:
            ApplicationError: it was refused.
        """
        key = str(firing_key(workflow.info().workflow_id))
        return await activity(steps.EXECUTE, steps.Execute(fire.record_ref, key), Fired, key)
