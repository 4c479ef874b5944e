"""Replays histories with today's engine, and compares its requests with those in the history."""

from __future__ import annotations

from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails
from temporalio.workflow import Info

from process_worker.jq.evaluator import Evaluator
from process_worker.worker import Lending
from process_worker.workflow.firings import FireSchedule
from process_worker.workflow.workflows import ExecuteProcess
from tests.integration.process.asked import Asked, Reader


class _Overheard(WorkflowInstance):
    """A workflow whose commands are written down."""

    def __init__(self, inner: WorkflowInstance, commands: list[WorkflowCommand]) -> None:
        self._inner = inner
        self._commands = commands

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        completion = self._inner.activate(act)
        for command in completion.successful.commands:
            kept = WorkflowCommand()
            kept.CopyFrom(command)  # Large payloads go to the ledger after this, which changes the command.
            self._commands.append(kept)
        return completion

    def get_info(self) -> Info:
        return self._inner.get_info()

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._inner.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._inner.get_external_store_context(command_info)


class _Listening(UnsandboxedWorkflowRunner):
    """Writes down the commands of what it runs."""

    def __init__(self) -> None:
        self.commands: list[WorkflowCommand] = []

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _Overheard(super().create_instance(det), self.commands)


async def replay(client: Client, handle: WorkflowHandle[Any, Any], evaluator: Evaluator) -> None:
    """Replay all runs of an execution.

    Raises:
        AssertionError: something is asked for with other arguments, or comes to something else.
        NondeterminismError: something else is asked for.
    """
    for history in await histories(client, handle.id):
        await replay_run(history, evaluator, client.data_converter)


async def histories(client: Client, workflow_id: str) -> list[WorkflowHistory]:
    """The histories of all runs of a workflow, the first one first."""
    description = (await client.get_workflow_handle(workflow_id).describe()).raw_description
    run: str | None = description.workflow_execution_info.first_run_id
    found: list[WorkflowHistory] = []
    while run:
        found.append(await client.get_workflow_handle(workflow_id, run_id=run).fetch_history())
        run = found[-1].events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return found


async def replay_run(
    history: WorkflowHistory, evaluator: Evaluator, converter: DataConverter = DataConverter.default
) -> None:
    """Replay one run; see `replay`."""
    listening = _Listening()
    replayer = Replayer(
        workflows=[ExecuteProcess, FireSchedule],
        interceptors=[Lending(evaluator)],
        workflow_runner=listening,
        unsandboxed_workflow_runner=listening,
        data_converter=converter,
        debug_mode=True,  # Otherwise it gives up tasks that take two seconds on the clock, and never ends.
    )
    await replayer.replay_workflow(history)
    reader = Reader(converter)
    then = await reader.then(history.events)
    now = await reader.now(listening.commands, then.keys())
    assert now == then, _difference(now, then)


def _difference(now: Asked, then: Asked) -> str:
    names = [name for name in {**then, **now} if now.get(name) != then.get(name)]
    return "\n".join(f"{name}\n  then: {then.get(name)}\n  now:  {now.get(name)}" for name in names)
