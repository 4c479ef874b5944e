"""The workflow that executes any Process Vibe, and commits its result in its last step."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Any, NoReturn

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

from process_worker.engine.bounds import fitting
from process_worker.engine.contract import Delivery
from process_worker.engine.faults import Fault, Interrupted, cut, standard
from process_worker.engine.interpreter import Interpreter
from process_worker.engine.run import Setting
from process_worker.engine.state import State
from process_worker.workflow import steps
from process_worker.workflow.failures import fault_of
from process_worker.workflow.keys import result_key
from process_worker.workflow.messages import (
    ANSWER_MARK,
    DELIVER,
    PROGRESS,
    WORKFLOW,
    Progress,
    ProgressAsked,
    Result,
    Start,
)
from process_worker.workflow.replayed import Replayed, activity, local
from refinery_core.process.checker import ProcessFault, read_process
from refinery_core.process.model import Process
from refinery_core.process.parts import Schema
from refinery_core.process.standard_errors import Problem

_TASKS_BYTES, _LISTENING_BYTES, _EVENTS_BYTES = 64 << 10, 256 << 10, 1 << 20
"""The sizes of the parts of an answer, for which Temporal has two MiB."""


# It is not sandboxed: the sandbox guards against mistakes in a workflow, and costs a third more. Here, import
# contracts and replayed histories guard against them.
@workflow.defn(name=WORKFLOW, sandboxed=False)
class ExecuteProcess:
    """One execution, or one run of it: a long one goes on in a new run, from a snapshot."""

    @workflow.init
    def __init__(self, start: Start) -> None:
        now_us = workflow.time_ns() // 1_000
        self._state = State(started_us=now_us) if start.snapshot is None else State.restored(start.snapshot)
        self._stands = "RUNNING"
        self._result_ref: str | None = None
        self._problem: Problem | None = None
        self._interpreter: Interpreter | None = None
        self._commits = False

    @workflow.run
    async def run(self, start: Start) -> Result:
        """
        Carry the process out.

        Raises:
            ApplicationError: no task caught a fault; its problem is the detail.
            CancelledError: it was cancelled, and has compensated.
        """
        work = asyncio.get_running_loop().create_task(self._carry_out(start))
        try:
            self._result_ref = await self._finish(work)
        except Interrupted as interrupted:
            workflow.continue_as_new(replace(start, snapshot=interrupted.snapshot))
        except Fault as fault:
            self._fault(fault.problem)
        except asyncio.CancelledError:
            self._end("CANCELLED")
            raise
        self._end("COMPLETED")
        return Result(self._result_ref)

    async def _finish(self, work: asyncio.Task[str]) -> str:
        """Wait for the work. A cancellation makes it compensate, and comes too late once it commits."""
        while True:
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                if work.done():
                    return work.result()
                if self._interpreter is not None and not self._commits:
                    self._interpreter.stop(work)
                elif not self._commits:
                    work.cancel()

    async def _carry_out(self, start: Start) -> str:
        ports = Replayed(start, self._state.consume)
        loaded = await _load(start)
        ports.capabilities = loaded.capabilities
        process = _read(loaded.solution)
        setting = Setting(
            workflow=workflow.info().workflow_id,
            input=start.input if start.input_ref is None else loaded.input,
            frozen=start.frozen,
            bundles=loaded.schemas,
            branch=start.branch,
        )
        self._interpreter = Interpreter(process, ports, setting, self._state)
        output = await self._interpreter.run()
        self._commits = True
        described = [loaded.result_schema, _schema(process.output.schema, start.frozen)]
        return await self._commit(start, output, _all_of(described), ports.behalf)

    async def _commit(self, start: Start, output: Any, schema: Any, behalf: steps.Behalf) -> str:
        targets = [start.record_ref, *start.target_refs, *self._state.consumed]
        commit = steps.Commit(
            key=str(result_key(workflow.info().workflow_id)),
            result_id=start.result_id,
            output=output,
            behalf=behalf,
            schema=schema,
            target_refs=list(dict.fromkeys(targets)),
            instruction_refs=list(dict.fromkeys([start.process_ref, *self._state.called])),
            budget_refs=start.budget_refs,
        )
        try:
            committed = await activity(steps.COMMIT, commit, steps.Committed, "/solution")
        except FailureError as error:
            raise fault_of(error).at("/output") from None
        return committed.ref

    # --- Queries and updates ------------------------------------------------------------------

    @workflow.query(name=PROGRESS)
    def progress(self, asked: ProgressAsked) -> RawValue:
        """The progress, with as many of the events as fit in an answer, oldest first."""
        trace = self._state.trace
        events = (event for event in trace.events if event.number > asked.after_number)
        progress = Progress(
            state=self._stands,
            tasks=fitting(map(cut, trace.innermost), _TASKS_BYTES),
            listening=fitting(trace.listening.values(), _LISTENING_BYTES),
            events=fitting(events, _EVENTS_BYTES),
            last_number=trace.last_number,
            result_ref=self._result_ref,
            problem=self._problem,
            room=self._state.mailbox.room,
        )
        answer = workflow.payload_converter().to_payload(progress)
        answer.metadata[ANSWER_MARK] = b"progress"
        return RawValue(answer)

    @workflow.update(name=DELIVER)
    def deliver(self, delivery: Delivery) -> bool:
        """Take an event in, to be consumed now or later; False if one with its id was delivered before."""
        try:
            return self._state.mailbox.deliver(delivery)
        except OverflowError as fault:
            raise ApplicationError(str(fault), type="TOO_MANY_EVENTS", non_retryable=True) from None

    # --- The end --------------------------------------------------------------------------

    def _fault(self, problem: Problem) -> NoReturn:
        self._problem = problem
        self._end("FAULTED", Fault(problem))
        sentence = problem.detail or problem.title or problem.type
        raise ApplicationError(sentence, asdict(problem), type="fault", non_retryable=True)

    def _end(self, state: str, fault: Fault | None = None) -> None:
        self._stands = state
        self._state.trace.note("EXECUTION_ENDED", "", workflow.time_ns() // 1_000, fault)


async def _load(start: Start) -> steps.Loaded:
    load = steps.Load(start.process_ref, start.frozen, start.input_ref)
    try:
        return await local(steps.LOAD, load, steps.Loaded)
    except FailureError as error:
        raise fault_of(error) from None


def _read(solution: Any) -> Process:
    try:
        return read_process(solution)
    except ProcessFault as fault:
        raise standard("configuration", f"the process is refused at {fault}") from None


def _schema(schema: Schema | None, frozen: dict[str, str]) -> Any:
    """The schema of the output where it is a Vibe's; one in the process itself was checked already."""
    if schema is None or schema.reference is None:
        return None
    written = str(schema.reference)
    ref = frozen.get(written) or frozen[written.partition("#")[0]]
    _, hash_mark, fragment = written.partition("#")
    return {"$ref": f"aug:{ref}{hash_mark}{fragment}"}


def _all_of(schemas: list[Any]) -> Any:
    """One schema that is all of these; None where there is none."""
    found = [schema for schema in schemas if schema is not None]
    return {"allOf": found} if len(found) > 1 else next(iter(found), None)
