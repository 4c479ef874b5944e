"""Capabilities called alone: the call of an execution, made while the caller waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from process_worker.activities.outside.calls import Calls
from process_worker.activities.outside.functions import Caller
from process_worker.activities.outside.refusals import as_fault, is_for_now
from process_worker.door.commands import CallCapability, Called
from process_worker.door.freeze import FrozenCapability, freeze_capability
from process_worker.engine.calls import CapabilityCall
from process_worker.engine.faults import Fault, standard
from process_worker.engine.ports import Busy
from process_worker.records.ledger import Ledger, answering
from process_worker.workflow.steps import Behalf
from refinery_core.errors import Overloaded, RefineryError
from refinery_core.serving.capacity import Capacity
from refinery_core.vibe.documents import Document, DocumentFault, from_value

MAX_CALLS: Final = 100
"""Concurrent calls; they share their threads with those of executions."""


@dataclass(frozen=True)
class Capabilities:
    """Calls of capabilities. Nothing is recorded: a call ends with its output, or with its caller."""

    ledger: Ledger
    calls: Calls
    room: Capacity = field(default_factory=lambda: Capacity(calls=MAX_CALLS))

    async def call(self, command: CallCapability) -> Called:
        """
        Call a capability once; its own errors are a problem in the answer, not a refusal.

        Raises:
            Overloaded: MAX_CALLS are under way.
        """
        self.room.take(streaming=False)
        try:
            frozen = await freeze_capability(self.ledger, command)
            try:
                return Called(frozen.capability_ref, output=await self._output(command, frozen))
            except Fault as fault:
                return Called(frozen.capability_ref, problem=fault.problem)
        finally:
            self.room.give_back(streaming=False)

    async def _output(self, command: CallCapability, frozen: FrozenCapability) -> Document:
        call = CapabilityCall(frozen.capability_ref, command.input.value)
        behalf = Behalf(frozen.author_ref, command.branch, frozen.capability_ref, record_ref="")
        try:
            with answering():
                return from_value(
                    await self.calls.perform(call, Caller(command.request_id, behalf), frozen.references)
                )
        except DocumentFault as fault:
            raise standard("validation", f"the output is refused at {fault}") from None
        except Busy:
            raise Overloaded from None
        except RefineryError as refusal:
            if is_for_now(refusal):
                raise
            raise as_fault(refusal) from None
