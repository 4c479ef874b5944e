"""Replays what happened with today's engine, and compares what it asks for with what it asked for then."""

from __future__ import annotations

from typing import Any

import orjson
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.worker import (
    Interceptor,
    Replayer,
    StartActivityInput,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle

from process_worker.expressions import Evaluator
from process_worker.worker import Lending
from process_worker.workflows import ExecuteProcess

Asked = list[tuple[str, Any]]


class _Listening(Interceptor):
    """Writes down which activities are asked for, with what."""

    def __init__(self) -> None:
        self.asked: Asked = []

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 -- the SDK's word
    ) -> type[WorkflowInboundInterceptor] | None:
        asked = self.asked

        class Outbound(WorkflowOutboundInterceptor):
            def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:  # noqa: A002
                asked.append((input.activity, _json(list(input.args))))
                return super().start_activity(input)

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

        return Inbound


async def replay(client: Client, handle: WorkflowHandle[Any, Any], evaluator: Evaluator) -> None:
    """Replay all runs of an execution.

    Raises:
        AssertionError: something is asked for with other arguments.
        NondeterminismError: something else is asked for.
    """
    run: str | None = (await handle.describe()).raw_description.workflow_execution_info.first_run_id
    while run:
        history = await client.get_workflow_handle(handle.id, run_id=run).fetch_history()
        await replay_run(client, history, evaluator)
        last = history.events[-1]
        run = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id


async def replay_run(client: Client, history: WorkflowHistory, evaluator: Evaluator) -> None:
    """Replay one run."""
    listening = _Listening()
    replayer = Replayer(
        workflows=[ExecuteProcess],
        interceptors=[Lending(evaluator), listening],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=client.data_converter,
    )
    await replayer.replay_workflow(history)
    assert listening.asked == await _asked_then(client, history)


async def _asked_then(client: Client, history: WorkflowHistory) -> Asked:
    asked: Asked = []
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            arguments = await client.data_converter.decode(scheduled.input.payloads)
            asked.append((scheduled.activity_type.name, arguments))
    return asked


def _json(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))
