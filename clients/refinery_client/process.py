"""The process service's calls: start executions, follow them, send them events, stop them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

import grpc

from refinery.process.v1 import process_service_pb2 as pb
from refinery.process.v1.process_service_pb2_grpc import ProcessServiceStub
from refinery_client.drafts import ABSENT, document_message
from refinery_client.executions import (
    CapabilityCalled,
    EventSent,
    Execution,
    ExecutionNews,
    ExecutionStarted,
    ExecutionState,
    ExecutionStory,
    called_from,
    event_from,
    execution_from,
)
from refinery_client.pages import items_of
from refinery_client.refusals import Unreachable, refusal_from
from refinery_client.retry import Backoff, Patience
from refinery_client.watch import SILENCE_SECONDS
from refinery_core.errors import Code, RefineryError

_Watch = grpc.aio.UnaryStreamCall[pb.WatchExecutionRequest, pb.WatchExecutionResponse]


class Processes:
    """
    The calls of the ProcessService, one method each.

    Every method may raise a RefineryError: the refusal of the server, Unreachable or
    DeadlineExceeded. `timeout_seconds` covers all attempts of one request.
    """

    def __init__(self, channel: grpc.aio.Channel, patience: Patience) -> None:
        """Call over a channel; the caller closes it."""
        self._processes = ProcessServiceStub(channel)
        self._patience = patience

    async def execute_process(
        self,
        process: str,
        *,
        author_ref: str,
        input: Any = ABSENT,  # noqa: A002 -- the contract's word
        target_refs: Sequence[str] = (),
        budget_refs: Sequence[str] = (),
        branch: str = "",
        result_id: str = "",
        request_id: UUID | None = None,
        timeout_seconds: float | None = None,
    ) -> ExecutionStarted:
        """
        Start an execution; when this returns it is durable, not done.

        Pass a request_id of your own if you may repeat the request from another process: it names the
        execution, and the same one with the same content is the same execution for ever.
        """
        request = pb.ExecuteProcessRequest(
            request_id=str(request_id or uuid.uuid4()),
            process=process,
            author_ref=author_ref,
            input=document_message(input, "input"),
            target_refs=target_refs,
            budget_refs=budget_refs,
            branch=branch,
            result_id=result_id,
        )
        answer = await self._patience.call(self._processes.ExecuteProcess, request, timeout_seconds)
        return ExecutionStarted(execution_from(answer.execution), answer.replayed)

    async def get_execution(
        self,
        id: UUID,  # noqa: A002 -- the contract's word
        *,
        timeout_seconds: float | None = None,
    ) -> ExecutionStory:
        """Return the state of an execution, its events and its result."""
        request = pb.GetExecutionRequest(id=str(id))
        answer = await self._patience.call(self._processes.GetExecution, request, timeout_seconds)
        return ExecutionStory(execution_from(answer.execution), tuple(map(event_from, answer.events)))

    def list_executions(
        self,
        *,
        process_ref: str = "",
        state: ExecutionState | None = None,
        page_size: int = 0,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Execution]:
        """List executions as far back as Temporal remembers, without their tasks: running ones first."""
        request = pb.ListExecutionsRequest(
            process_ref=process_ref,
            state=pb.EXECUTION_STATE_UNSPECIFIED
            if state is None
            else pb.ExecutionState.Value(f"EXECUTION_STATE_{state}"),
            page_size=page_size,
        )
        return items_of(
            self._patience,
            self._processes.ListExecutions,
            request,
            lambda page: map(execution_from, page.executions),
            timeout_seconds=timeout_seconds,
        )

    async def watch_execution(
        self,
        id: UUID,  # noqa: A002 -- the contract's word
        *,
        after_number: int = 0,
        give_up_seconds: float = 60,
    ) -> AsyncGenerator[ExecutionNews, None]:
        """
        Yield the events after a number, and new ones as they happen, each once, until the execution ends.

        After a lost connection it connects again and resumes after the last event. The refusal is
        raised only if no server could be reached for `give_up_seconds`.
        """
        request = pb.WatchExecutionRequest(id=str(id), after_number=after_number)
        backoff, heard, renewed = Backoff(), time.monotonic(), False
        stood: Execution | None = None
        while True:
            token = await self._patience.token()
            try:
                metadata = self._patience.metadata(token)
                call = self._processes.WatchExecution(request, metadata=metadata)
                async with aclosing(_messages(call, request)) as messages:
                    async for message in messages:
                        backoff.reset()
                        heard, renewed = time.monotonic(), False
                        news = _news(message)
                        if news.event is not None:
                            request.after_number = max(request.after_number, news.event.number)
                        if news.event is not None or news.execution not in (None, stood):
                            # Each stream begins with how it stands, which is news only where it changed.
                            stood = news.execution or stood
                            yield news
                            heard = time.monotonic()
                return  # noqa: TRY300 -- the end of the execution is the end of the stream
            except RefineryError as refusal:
                if not renewed and await self._patience.may_renew(refusal, token):
                    renewed = True
                    continue
                pause = backoff.next()
                if refusal.code is not Code.UNAVAILABLE or time.monotonic() + pause > heard + give_up_seconds:
                    raise
                await asyncio.sleep(pause)

    async def send_event(
        self,
        execution_id: UUID,
        *,
        author_ref: str,
        id: str,  # noqa: A002 -- the contract's word
        type: str,  # noqa: A002 -- the contract's word
        source: str = "",
        subject: str = "",
        data: Any = ABSENT,
        attributes: Mapping[str, str] | None = None,
        request_id: UUID | None = None,
        timeout_seconds: float | None = None,
    ) -> EventSent:
        """Send an event to an execution that listens or will; on return it is recorded and delivered."""
        request = pb.SendEventRequest(
            request_id=str(request_id or uuid.uuid4()),
            execution_id=str(execution_id),
            author_ref=author_ref,
            event=pb.Event(
                id=id,
                type=type,
                source=source,
                subject=subject,
                data=document_message(data, "event.data"),
                attributes=attributes,
            ),
        )
        answer = await self._patience.call(self._processes.SendEvent, request, timeout_seconds)
        return EventSent(answer.event_ref, answer.replayed)

    async def cancel_execution(
        self,
        id: UUID,  # noqa: A002 -- the contract's word
        *,
        timeout_seconds: float | None = None,
    ) -> None:
        """Ask an execution to stop. It may compensate first."""
        request = pb.CancelExecutionRequest(id=str(id))
        await self._patience.call(self._processes.CancelExecution, request, timeout_seconds)

    async def terminate_execution(
        self,
        id: UUID,  # noqa: A002 -- the contract's word
        *,
        reason: str = "",
        author_ref: str = "",
        timeout_seconds: float | None = None,
    ) -> None:
        """Stop an execution at once. It compensates nothing."""
        request = pb.TerminateExecutionRequest(id=str(id), reason=reason, author_ref=author_ref)
        await self._patience.call(self._processes.TerminateExecution, request, timeout_seconds)

    async def call_capability(
        self,
        capability: str,
        *,
        author_ref: str,
        input: Any = ABSENT,  # noqa: A002 -- the contract's word
        branch: str = "",
        request_id: UUID | None = None,
        timeout_seconds: float | None = None,
    ) -> CapabilityCalled:
        """
        Call a Capability Vibe directly, once: unlike the other calls it is not retried and has no deadline.

        A problem is an answer, not an exception. To repeat a call, pass the same request_id: it is the
        idempotency key that the called service gets.
        """
        request = pb.CallCapabilityRequest(
            request_id=str(request_id or uuid.uuid4()),
            capability=capability,
            author_ref=author_ref,
            input=document_message(input, "input"),
            branch=branch,
        )
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        return called_from(await self._patience.once(self._processes.CallCapability, request, deadline))


def _news(message: pb.WatchExecutionResponse) -> ExecutionNews:
    return ExecutionNews(
        event_from(message.event) if message.HasField("event") else None,
        execution_from(message.execution) if message.HasField("execution") else None,
    )


async def _messages(
    call: _Watch, request: pb.WatchExecutionRequest
) -> AsyncGenerator[pb.WatchExecutionResponse, None]:
    try:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                message = await call.read()
            if not isinstance(message, pb.WatchExecutionResponse):
                return
            yield message
    except grpc.aio.AioRpcError as error:
        raise refusal_from(error, request) from None
    except TimeoutError:
        problem = f"nothing was heard for {SILENCE_SECONDS:.0f} seconds"
        raise Unreachable(service="process", problem=problem) from None
    finally:
        call.cancel()
