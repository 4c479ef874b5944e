"""ProcessService: each method reads the request, runs the command, and writes the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from grpc.aio import ServicerContext as Context

from process_worker.door import wire
from process_worker.door.capabilities import Capabilities
from process_worker.door.events import Events
from process_worker.door.executions import Executions
from process_worker.door.rights import Rights
from process_worker.door.schedules import Schedules
from process_worker.door.watch import watch
from refinery.process.v1 import process_service_pb2 as pb
from refinery.process.v1 import process_service_pb2_grpc as pb_grpc
from refinery_core.fields import ref_from
from refinery_core.pages import page_size
from refinery_core.serving.drain import Drain
from refinery_core.vibe.roles import Verb
from refinery_core.wire import document_form, uuid_from

NAME: Final = "refinery.process.v1.ProcessService"


@dataclass(frozen=True)
class ProcessServicer(pb_grpc.ProcessServiceServicer):
    """Executions, schedules and capabilities over gRPC."""

    executions: Executions
    schedules: Schedules
    capabilities: Capabilities
    drain: Drain

    @cached_property
    def rights(self) -> Rights:
        """The rights of callers."""
        return Rights(self.executions, self.schedules)

    async def ExecuteProcess(
        self, request: pb.ExecuteProcessRequest, context: Context[Any, Any]
    ) -> pb.ExecuteProcessResponse:
        """Start an execution."""
        form = document_form(context.invocation_metadata())
        command = wire.execute_process(request)
        await self.rights.check_execute(command)
        return wire.started_message(await self.executions.execute(command), form)

    async def GetExecution(
        self, request: pb.GetExecutionRequest, context: Context[Any, Any]
    ) -> pb.GetExecutionResponse:
        """Get an execution."""
        form = document_form(context.invocation_metadata())
        id_ = uuid_from(request.id, "id")
        await self.rights.check_execution(id_)
        return wire.story_message(await self.executions.get(id_), form)

    async def ListExecutions(
        self, request: pb.ListExecutionsRequest, context: Context[Any, Any]
    ) -> pb.ListExecutionsResponse:
        """List a page of executions."""
        form = document_form(context.invocation_metadata())
        size, filter_ = page_size(request.page_size), wire.execution_filter(request)
        page = await self.executions.list(filter_, size, request.page_token)
        page = replace(page, items=await self.rights.readable(page.items))
        return wire.page_message(page, form)

    async def WatchExecution(
        self, request: pb.WatchExecutionRequest, context: Context[Any, Any]
    ) -> AsyncIterator[pb.WatchExecutionResponse]:
        """Watch an execution."""
        form = document_form(context.invocation_metadata())
        id_, after = uuid_from(request.id, "id"), wire.after_number(request)
        await self.rights.check_execution(id_)
        with self.drain.of_stream() as drain:
            async with aclosing(watch(self.executions, drain, id_, after)) as all_news:
                async for news in all_news:
                    yield wire.news_message(news, form)

    async def SendEvent(
        self, request: pb.SendEventRequest, context: Context[Any, Any]
    ) -> pb.SendEventResponse:
        """Send an event to an execution."""
        command = wire.send_event(request)
        await self.rights.check_execution(command.execution_id, Verb.SIGNAL, command.author_ref)
        return wire.sent_message(await Events(self.executions).send(command))

    async def CancelExecution(
        self, request: pb.CancelExecutionRequest, context: Context[Any, Any]
    ) -> pb.CancelExecutionResponse:
        """Cancel an execution."""
        id_ = uuid_from(request.id, "id")
        await self.rights.check_execution(id_, Verb.STOP)
        await self.executions.cancel(id_)
        return pb.CancelExecutionResponse()

    async def TerminateExecution(
        self, request: pb.TerminateExecutionRequest, context: Context[Any, Any]
    ) -> pb.TerminateExecutionResponse:
        """Terminate an execution."""
        id_, reason = uuid_from(request.id, "id"), wire.text(request.reason, "reason")
        author_ref = wire.author_or_none(request.author_ref)
        await self.rights.check_execution(id_, Verb.STOP, author_ref)
        await self.executions.terminate(id_, reason, author_ref)
        return pb.TerminateExecutionResponse()

    async def ScheduleProcess(
        self, request: pb.ScheduleProcessRequest, context: Context[Any, Any]
    ) -> pb.ScheduleProcessResponse:
        """Make a schedule."""
        command = wire.execute_process(request)
        await self.rights.check_execute(command)
        return wire.scheduled_message(await self.schedules.make(command))

    async def GetSchedule(
        self, request: pb.GetScheduleRequest, context: Context[Any, Any]
    ) -> pb.GetScheduleResponse:
        """Get a schedule."""
        id_ = uuid_from(request.id, "id")
        await self.rights.check_schedule(id_)
        return pb.GetScheduleResponse(schedule=wire.schedule_message(await self.schedules.get(id_)))

    async def ListSchedules(
        self, request: pb.ListSchedulesRequest, context: Context[Any, Any]
    ) -> pb.ListSchedulesResponse:
        """List a page of schedules."""
        size, process_ref = page_size(request.page_size), ref_from(request.process_ref, "process_ref")
        page = await self.schedules.list(process_ref, size, request.page_token)
        return wire.schedules_message(replace(page, items=await self.rights.readable(page.items)))

    async def PauseSchedule(
        self, request: pb.PauseScheduleRequest, context: Context[Any, Any]
    ) -> pb.PauseScheduleResponse:
        """Pause a schedule."""
        id_, reason = uuid_from(request.id, "id"), wire.note(request.reason, "reason")
        await self.rights.check_schedule(id_, Verb.STOP)
        await self.schedules.pause(id_, reason)
        return pb.PauseScheduleResponse()

    async def ResumeSchedule(
        self, request: pb.ResumeScheduleRequest, context: Context[Any, Any]
    ) -> pb.ResumeScheduleResponse:
        """Resume a schedule."""
        id_ = uuid_from(request.id, "id")
        await self.rights.check_schedule(id_, Verb.STOP)
        await self.schedules.resume(id_)
        return pb.ResumeScheduleResponse()

    async def EndSchedule(
        self, request: pb.EndScheduleRequest, context: Context[Any, Any]
    ) -> pb.EndScheduleResponse:
        """End a schedule."""
        id_, author_ref = uuid_from(request.id, "id"), wire.author_or_none(request.author_ref)
        await self.rights.check_schedule(id_, Verb.STOP, author_ref)
        await self.schedules.end(id_, author_ref)
        return pb.EndScheduleResponse()

    async def CallCapability(
        self, request: pb.CallCapabilityRequest, context: Context[Any, Any]
    ) -> pb.CallCapabilityResponse:
        """Call a capability."""
        form = document_form(context.invocation_metadata())
        command = wire.call_capability(request)
        await self.rights.check_call(command)
        return wire.called_message(await self.capabilities.call(command), form)
