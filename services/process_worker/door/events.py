"""Events for executions: recorded in the ledger, then delivered to the workflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from process_worker.door.commands import SendEvent
from process_worker.door.executions import Executions
from process_worker.engine.contract import Delivery
from process_worker.records.execution import event_id
from process_worker.records.ledger import answering
from process_worker.workflow.messages import MAX_INLINE_BYTES
from refinery_client import Draft, EventSent, ExecutionState, Refined
from refinery_core.errors import ExecutionEnded, InternalError, InvalidField, TooManyEvents
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.refs import Ref


@dataclass(frozen=True)
class Events:
    """The events that callers send to executions."""

    executions: Executions

    async def send(self, command: SendEvent) -> EventSent:
        """
        Record an event and deliver it; both happen once, however often it is sent.

        Raises:
            ExecutionEnded: the execution is over, and this event was not sent before that.
            RevisionConflict: another event of this id was sent to this execution.
            TooManyEvents: the execution takes no more.
        """
        if command.data is not None and len(command.data.text.encode()) > MAX_INLINE_BYTES:
            problem = f"is larger than {MAX_INLINE_BYTES} bytes; refine it, and send its ref"
            raise InvalidField(field="event.data", problem=problem)
        execution = await self.executions.stands(command.execution_id)
        running = execution.state is ExecutionState.RUNNING
        if await self.executions.ledger.committed(command.request_id) is None:
            if not running:
                raise ExecutionEnded(id=command.execution_id, state=execution.state)
            if not await self.executions.temporal.has_room(command.execution_id):
                raise TooManyEvents(id=command.execution_id)
        refined = await self._refine(command, execution.record_ref)
        if running and not await self._deliver(command, refined):
            await self.executions.refuse_ended(command.execution_id)
        return EventSent(refined.vibes[0].ref, refined.replayed)

    async def _refine(self, command: SendEvent, record_ref: str) -> Refined:
        id_ = event_id(command.execution_id, command.id)
        draft = Draft(type=VibeType.RECORD, id=id_, expected_revision=0, solution=_cloud_event(command))
        with answering():
            return await self.executions.ledger.refinery.refine(
                request_id=command.request_id,
                author_ref=command.author_ref,
                branch=Ref.parse(record_ref).branch if record_ref else "main",
                drafts=[draft],
                target_refs=[record_ref] if record_ref else [],
            )

    async def _deliver(self, command: SendEvent, refined: Refined) -> bool:
        if refined.refinement is None:
            raise InternalError(incident="a refine without a refinement")
        delivery = Delivery(
            id=command.id,
            type=command.type,
            source=command.source,
            subject=command.subject,
            author_ref=refined.refinement.author_ref,
            event_ref=refined.vibes[0].ref,
            data=None if command.data is None else command.data.value,
            attributes=dict(command.attributes),
        )
        return await self.executions.temporal.deliver(command.execution_id, delivery, command.request_id)


def _cloud_event(command: SendEvent) -> dict[str, Any]:
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": command.id,
        "type": command.type,
        "source": command.source,
        **command.attributes,
    }
    if command.subject:
        event["subject"] = command.subject
    if command.data is not None:
        event["data"] = command.data.value
    return event
